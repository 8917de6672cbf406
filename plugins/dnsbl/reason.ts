/** A list's TXT record as part of a reply. */

/** Room beside our own words on one reply line of 512 octets. RFC 5321 section 4.5.3.1.5. */
const reasonCharsMax = 200;

/** The first record that is short, printable US-ASCII; undefined when none is. */
export function shortReason(records: readonly string[]): string | undefined {
  return records
    .map((record) => record.trim())
    .find((record) => record.length <= reasonCharsMax && /^[\x20-\x7e]+$/.test(record));
}
