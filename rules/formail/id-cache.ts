/** formail's cache of keys that were seen: a ring of words that end in NUL, an empty word where the next one goes. formail(1), -D. */

export interface CacheLookup {
  readonly known: boolean;
  /** What is to be written, and at which offset; undefined where the key was known. */
  readonly write?: { readonly offset: number; readonly text: string };
}

/**
 * @param content of the file, an octet a character
 * @param sizeBytes about which it begins anew at its start
 */
export function lookUpKey(content: string, key: string, sizeBytes: number): CacheLookup {
  let insertAt = sizeBytes;
  let at = 0;
  do {
    const end = content.indexOf('\0', at);
    if (end < 0) break;
    const word = content.slice(at, end);
    if (word === key) return { known: true };
    if (word === '' && insertAt === sizeBytes) {
      insertAt = at;
      // What stands behind the end of the ring is the rest of a word that was written over.
      const rest = content.indexOf('\0', end + 1);
      if (rest < 0) break;
      at = rest + 1;
    } else {
      at = end + 1;
    }
  } while (at < sizeBytes);
  return { known: false, write: { offset: insertAt >= sizeBytes ? 0 : insertAt, text: `${key}\0\0` } };
}
