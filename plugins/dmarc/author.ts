/** The domains of a message's authors. RFC 9989 section 4.2, RFC 5322 section 3.6.2. */
import { isDomain, normaliseDomain, parseAddressList, splitAddress } from 'mailfilter/mail';

/** Each costs a walk up the DNS tree; no honest message has more. */
const authorDomainsMax = 5;

/** @returns none for a message without From; undefined where no author can be told: without a domain, too many of them */
export function authorDomains(fields: readonly string[]): string[] | undefined {
  if (fields.length === 0) return [];
  const addresses = fields.flatMap((value) => parseAddressList(value));
  const domains = new Set(addresses.map(({ address }) => normaliseDomain(splitAddress(address).domain)));
  if (addresses.length === 0 || domains.size > authorDomainsMax) return undefined;
  return [...domains].every((domain) => isDomain(domain)) ? [...domains] : undefined;
}
