/** Address patterns of the config's routes: `*`, `@domain`, `@.domain`, `local@domain`. */
import { OperationalError } from '../../core/base/errors.ts';
import { compareForm, isAddress, isDomain, normaliseDomain } from '../../core/mail/address.ts';

/** Takes an address in its form for comparing; '' is the null reverse-path. */
export type AddressPattern = (address: string) => boolean;

/**
 * `*` matches everything, the null reverse-path included; `@example.org` one domain; `@.example.org` that domain and
 * all below it; `alice@example.org` one address. Case does not count, and a domain may be written in either IDN form.
 * Throws OperationalError `address-pattern` when the text is none of these.
 */
export function parseAddressPattern(text: string): AddressPattern {
  if (text === '*') return () => true;
  if (text.startsWith('@.')) {
    const domain = patternDomain(text, text.slice(2));
    const below = `.${domain}`;
    return (address) => {
      const own = domainOf(address);
      return own === domain || own.endsWith(below);
    };
  }
  if (text.startsWith('@')) {
    const domain = patternDomain(text, text.slice(1));
    return (address) => domainOf(address) === domain;
  }
  if (!isAddress(text)) throw badPattern(text);
  const wanted = compareForm(text).toLowerCase();
  return (address) => address.toLowerCase() === wanted;
}

/** The part after the last `@` (a quoted local part may hold others), '' where there is none. */
function domainOf(address: string): string {
  const at = address.lastIndexOf('@');
  return at < 0 ? '' : address.slice(at + 1).toLowerCase();
}

function patternDomain(pattern: string, domain: string): string {
  // A domain literal such as [192.0.2.1] is compared as it is written. RFC 5321 section 4.1.3.
  if (domain.startsWith('[') && domain.endsWith(']')) return domain.toLowerCase();
  if (!isDomain(domain)) throw badPattern(pattern);
  return normaliseDomain(domain);
}

function badPattern(text: string): OperationalError {
  return new OperationalError(
    'address-pattern',
    `"${text}" is no address pattern: write *, @domain, @.domain (with its subdomains) or local@domain`,
    { temporary: false },
  );
}
