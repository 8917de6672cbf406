/** Lists a tar archive: ustar, pax and GNU long names. POSIX.1-2024, pax, "ustar Interchange Format". */
import type { Entry, Listing } from './listing.ts';

const block = 512;

export function listTar(octets: Buffer, entriesMax: number): Listing {
  const entries: Entry[] = [];
  let longName: string | undefined;
  for (let at = 0; at + block <= octets.length; ) {
    const header = octets.subarray(at, at + block);
    // Two empty blocks end the archive; what follows is filling.
    if (header.every((octet) => octet === 0)) return { entries, incomplete: false, encrypted: false };
    const size = sizeOf(header);
    const start = at + block;
    if (size === undefined || start + size > octets.length) break;
    if (entries.length >= entriesMax) break;
    const content = octets.subarray(start, start + size);
    const type = String.fromCharCode(header[156]!);
    if (type === 'L') longName = textOf(content.subarray(0, paxOctetsMax));
    else if (type === 'x')
      longName = /(?:^|\n)\d+ path=([^\n]+)\n/.exec(content.toString('utf8', 0, paxOctetsMax))?.[1];
    else if (type !== 'g' && type !== 'K') {
      entries.push({
        name: longName ?? nameOf(header),
        encrypted: false,
        size,
        packedSize: size,
        read: async (octetsMax) => content.subarray(0, octetsMax),
      });
      longName = undefined;
    }
    at = start + Math.ceil(size / block) * block;
  }
  return { entries, incomplete: true, encrypted: false };
}

/** A path has 4096 octets at most on Linux; other records stand beside it. */
const paxOctetsMax = 64 * 1024;

/** Octal digits, or, of large files, a number whose first bit is set. */
function sizeOf(header: Buffer): number | undefined {
  if ((header[124]! & 0x80) !== 0) {
    const size = header.readBigUInt64BE(128);
    return size <= Number.MAX_SAFE_INTEGER ? Number(size) : undefined;
  }
  const digits = textOf(header.subarray(124, 136)).trim();
  return /^[0-7]{1,12}$/.test(digits) ? Number.parseInt(digits, 8) : undefined;
}

function nameOf(header: Buffer): string {
  const name = textOf(header.subarray(0, 100));
  const prefix = header.toString('latin1', 257, 262) === 'ustar' ? textOf(header.subarray(345, 500)) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

function textOf(octets: Buffer): string {
  const end = octets.indexOf(0);
  return octets.toString('utf8', 0, end < 0 ? octets.length : end);
}
