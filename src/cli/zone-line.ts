/** TXT records as a zone file has them. RFC 1035 sections 3.3.14 and 5.1. */

/** Strings of at most 255 octets, one after the other. */
export function txtLine(name: string, text: string): string {
  const strings = (text.match(/.{1,250}/g) ?? ['']).map((string) => `"${string}"`);
  return `${name}. TXT ${strings.join(' ')}`;
}
