/** The organizational domain by the public suffix list, as RFC 7489 section 3.2 had it. */
import { getDomain, parse } from 'tldts';

/** The public suffix and one label; the domain itself where it is a suffix or nothing is known of it. */
export function listedOrganizationalDomain(domain: string): string {
  return registeredDomain(domain) ?? domain;
}

/** The public suffix and one label, null for a suffix. */
export function registeredDomain(domain: string): string | null {
  if (domain.startsWith('.')) return null;
  return getDomain(domain.toLowerCase(), {
    allowPrivateDomains: true,
    validateHostname: false,
    extractHostname: false,
  });
}

/** False where the last labels of a name are on no public suffix list: it is hardly a name in DNS. */
export function hasPublicSuffix(domain: string): boolean {
  const { isIcann, isPrivate } = parse(domain.toLowerCase(), {
    allowPrivateDomains: true,
    validateHostname: false,
    extractHostname: false,
  });
  return isIcann === true || isPrivate === true;
}
