/** What can be told of a 7z archive without unpacking its directory, which is compressed as a rule: 7zFormat.txt of the LZMA SDK. */
import { type Entry, type Listing, unreadable } from './listing.ts';

/** The method AES-256 with SHA-256, as coders name it. */
const aes = Buffer.from([0x06, 0xf1, 0x07, 0x01]);
const plainHeader = 0x01;
const namesProperty = 0x11;

export function listSevenZip(octets: Buffer, entriesMax: number): Listing {
  if (octets.length < 32) return unreadable;
  const offset = octets.readBigUInt64LE(12) + 32n;
  const size = octets.readBigUInt64LE(20);
  if (offset + size > BigInt(octets.length)) return unreadable;
  const header = octets.subarray(Number(offset), Number(offset + size));
  const encrypted = header.includes(aes);
  if (header[0] !== plainHeader) return { entries: [], incomplete: true, encrypted };
  const names = namesIn(header).slice(0, entriesMax);
  const entries = names.map((name): Entry => ({ name, encrypted, size: undefined, packedSize: 0 }));
  return { entries, incomplete: names.length === 0, encrypted: false };
}

/** Octets that may be the property's: sums, sizes and times have the same one by chance. */
const placesMax = 10_000;

/** The property that holds all names, in UTF-16 with a zero after each. */
function namesIn(header: Buffer): string[] {
  let at = header.indexOf(namesProperty);
  for (let tried = 0; at >= 0 && tried < placesMax; at = header.indexOf(namesProperty, at + 1), tried += 1) {
    const length = header[at + 1] ?? 0;
    // Below 128 the length is one octet; of longer ones the first octet's upper bits say how many follow.
    const [size, start] =
      length < 0x80 ? [length, at + 2] : [((length & 0x3f) << 8) | (header[at + 2] ?? 0), at + 3];
    const names = header.subarray(start + 1, start + size);
    // An octet of 0 says that the names stand here.
    if (header[start] !== 0 || names.length !== size - 1 || names.length % 2 !== 0) continue;
    if (names.at(-1) === 0 && names.at(-2) === 0) return names.toString('utf16le').slice(0, -1).split('\0');
  }
  return [];
}
