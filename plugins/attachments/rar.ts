/** Lists a RAR archive by its block headers: versions 1.5 to 4 and 5. RAR technote; RAR 5.0 archive format. */
import type { Entry, Listing } from './listing.ts';

export function listRar(octets: Buffer, entriesMax: number): Listing {
  return octets[6] === 1 ? listRar5(octets, entriesMax) : listRar4(octets, entriesMax);
}

function listRar4(octets: Buffer, entriesMax: number): Listing {
  const entries: Entry[] = [];
  for (let at = 7; at + 7 <= octets.length && entries.length < entriesMax; ) {
    const type = octets[at + 2];
    const flags = octets.readUInt16LE(at + 3);
    const headerSize = octets.readUInt16LE(at + 5);
    const header = octets.subarray(at, at + headerSize);
    // The archive's header says that all others are encrypted.
    if (type === 0x73 && (flags & 0x80) !== 0) return { entries, incomplete: true, encrypted: true };
    if (type === 0x7b) return { entries, incomplete: false, encrypted: false };
    if (headerSize < 7 || header.length < headerSize) break;
    const hasData = type === 0x74 || (flags & 0x8000) !== 0;
    const packedSize = hasData && header.length >= 11 ? header.readUInt32LE(7) : 0;
    if (type === 0x74 && header.length >= 32) {
      const nameStart = (flags & 0x100) === 0 ? 32 : 40;
      const written = header.subarray(nameStart, nameStart + header.readUInt16LE(26));
      // A name beyond US-ASCII follows its plain form after a zero, in an encoding of its own.
      const plain = written.includes(0) ? written.subarray(0, written.indexOf(0)) : written;
      entries.push({
        name: plain.toString('utf8'),
        encrypted: (flags & 4) !== 0,
        size: header.readUInt32LE(11),
        packedSize,
      });
    }
    at += headerSize + packedSize;
  }
  return { entries, incomplete: true, encrypted: false };
}

function listRar5(octets: Buffer, entriesMax: number): Listing {
  const entries: Entry[] = [];
  for (let at = 8; at + 6 < octets.length && entries.length < entriesMax; ) {
    const size = readNumber(octets, at + 4);
    if (size === undefined || size.value === 0 || size.end + size.value > octets.length) break;
    const header = new Numbers(octets.subarray(size.end, size.end + size.value));
    const type = header.next();
    const flags = header.next();
    const extraSize = (flags & 1) !== 0 ? header.next() : 0;
    const dataSize = (flags & 2) !== 0 ? header.next() : 0;
    if (type === 4) return { entries, incomplete: true, encrypted: true };
    if (type === 5) return { entries, incomplete: false, encrypted: false };
    if (type === 2) entries.push(readFileHeader(header, extraSize, dataSize));
    at = size.end + size.value + dataSize;
  }
  return { entries, incomplete: true, encrypted: false };
}

function readFileHeader(header: Numbers, extraSize: number, packedSize: number): Entry {
  const flags = header.next();
  const size = header.next();
  header.next(); // attributes
  if ((flags & 2) !== 0) header.skip(4);
  if ((flags & 4) !== 0) header.skip(4);
  header.next(); // compression
  header.next(); // operating system
  const name = header.take(header.next()).toString('utf8');
  return { name, encrypted: isEncrypted(header.ending(extraSize)), size, packedSize };
}

/** Records of the extra area, each with its size and type; type 1 is encryption. */
function isEncrypted(extra: Buffer): boolean {
  for (let at = 0; at < extra.length; ) {
    const size = readNumber(extra, at);
    const type = size && readNumber(extra, size.end);
    if (size === undefined || type === undefined || size.value === 0) return false;
    if (type.value === 1) return true;
    at = size.end + size.value;
  }
  return false;
}

/** Numbers of seven bits an octet, the lowest first; past the end they are 0. */
class Numbers {
  readonly #octets: Buffer;
  #at = 0;

  constructor(octets: Buffer) {
    this.#octets = octets;
  }

  next(): number {
    const read = readNumber(this.#octets, this.#at);
    this.#at = read?.end ?? this.#octets.length;
    return read?.value ?? 0;
  }

  skip(octets: number): void {
    this.#at += octets;
  }

  take(octets: number): Buffer {
    const taken = this.#octets.subarray(this.#at, this.#at + octets);
    this.#at += octets;
    return taken;
  }

  ending(octets: number): Buffer {
    return this.#octets.subarray(Math.max(0, this.#octets.length - octets));
  }
}

function readNumber(octets: Buffer, start: number): { value: number; end: number } | undefined {
  let value = 0;
  // Ten octets hold 64 bits; a number that no file has is no number.
  for (let at = start; at < octets.length && at - start < 8; at += 1) {
    value += (octets[at]! & 0x7f) * 2 ** (7 * (at - start));
    if ((octets[at]! & 0x80) === 0) return { value, end: at + 1 };
  }
  return undefined;
}
