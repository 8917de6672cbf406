/** A short key for a long name: two 32-bit hashes as one integer below 2^53, so that a key is a row id of SQLite. */

/** Two names of a mailbox of 100,000 messages meet once in a million mailboxes; then one shows the other's envelope. */
export function keyOf(name: string): number {
  let first = 0xdeadbeef;
  let second = 0x41c6ce57;
  for (let at = 0; at < name.length; at += 1) {
    const code = name.charCodeAt(at);
    first = Math.imul(first ^ code, 2654435761);
    second = Math.imul(second ^ code, 1597334677);
  }
  first = Math.imul(first ^ (first >>> 16), 2246822507) ^ Math.imul(second ^ (second >>> 13), 3266489909);
  second = Math.imul(second ^ (second >>> 16), 2246822507) ^ Math.imul(first ^ (first >>> 13), 3266489909);
  return 4294967296 * (second & 0x1fffff) + (first >>> 0);
}
