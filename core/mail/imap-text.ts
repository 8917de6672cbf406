/** Strings as IMAP writes them: octets in Latin-1, ready for the wire. RFC 9051 sections 4.3 and 9. */

/** `nil`, a quoted string, or a literal where the octets need one: then every client can read it, whatever is enabled. */
export function nstring(octets: string | undefined): string {
  return octets === undefined ? 'NIL' : imapString(octets);
}

/** Quotes are for short texts of printable US-ASCII; NUL may stand nowhere but in literal8. */
export function imapString(octets: string): string {
  if (octets.length <= 1000 && /^[\x20-\x7e\t]*$/.test(octets)) {
    return `"${/["\\]/.test(octets) ? octets.replace(/["\\]/g, '\\$&') : octets}"`;
  }
  const without = octets.includes('\0') ? octets.replaceAll('\0', '') : octets;
  return `{${without.length}}\r\n${without}`;
}
