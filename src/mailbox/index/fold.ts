/** Text as searches compare it: compatibility forms and case folded away. RFC 9051 section 6.4.4, RFC 5051. */

/** US-ASCII takes the short way. */
export function fold(text: string): string {
  if (/^[\0-\x7f]*$/.test(text)) return text.toLowerCase();
  return text.normalize('NFKC').toLowerCase().normalize('NFKC');
}
