/** Text as searches compare it: compatibility forms and case folded away. RFC 9051 section 6.4.4, RFC 5051. */

/** US-ASCII takes the short way. */
export function fold(text: string): string {
  if (Buffer.byteLength(text) === text.length) return text.toLowerCase();
  return text.normalize('NFKC').toLowerCase().normalize('NFKC');
}
