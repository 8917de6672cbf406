/** Domain names as the config compares them: lower case, IDN as A-labels. RFC 5890, RFC 1035 section 2.3.4. */
import { domainToASCII } from 'node:url';

const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/** Undefined when the text is no domain name: an empty or too long label, an address literal, white space. */
export function canonicalDomain(name: string): string | undefined {
  const trimmed = name.endsWith('.') ? name.slice(0, -1) : name;
  // domainToASCII reads digits and hexadecimal numbers as IPv4 addresses, and would let `a/b` pass as `a`.
  if (!/^[\p{L}\p{M}\p{N}._-]+$/u.test(trimmed) || /^[0-9.]+$/.test(trimmed)) return undefined;
  const ascii = domainToASCII(trimmed);
  if (ascii === '' || ascii.length > 253) return undefined;
  return ascii.split('.').every((part) => label.test(part)) ? ascii : undefined;
}
