/** The directory of an OLE compound file: which streams an Office document of 1997 to 2003 has. MS-CFB sections 2.2 to 2.6. */

/** More directory entries than any document has. */
const entriesMax = 4096;
const entryOctets = 128;
const endOfChain = 0xfffffffa;

export interface OleFacts {
  readonly macros: boolean;
  readonly encrypted: boolean;
  /** The directory could not be read to its end. */
  readonly incomplete: boolean;
}

export function judgeOle(octets: Buffer): OleFacts {
  const { names, incomplete } = directoryNames(octets);
  const has = (...wanted: string[]) => names.some((name) => wanted.includes(name));
  return {
    macros: has('vba', '_vba_project', '_vba_project_cur', 'macros'),
    // MS-OFFCRYPTO section 1.3.3: a newer document with a password is wrapped in these.
    encrypted: has('encryptedpackage', 'encryptioninfo'),
    incomplete,
  };
}

/** In lower case. */
function directoryNames(octets: Buffer): { names: string[]; incomplete: boolean } {
  const names: string[] = [];
  const shift = octets.length >= 512 ? octets.readUInt16LE(30) : 0;
  if (shift !== 9 && shift !== 12) return { names, incomplete: true };
  const size = 2 ** shift;
  const sectorAt = (sector: number) => (sector + 1) * size;
  let sector = octets.readUInt32LE(48);
  for (let read = 0; sector < endOfChain; ) {
    const start = sectorAt(sector);
    if (start + size > octets.length) return { names, incomplete: true };
    for (let at = start; at < start + size; at += entryOctets, read += 1) {
      if (read >= entriesMax) return { names, incomplete: true };
      const nameOctets = octets.readUInt16LE(at + 64);
      if (nameOctets >= 2 && nameOctets <= 64)
        names.push(octets.toString('utf16le', at, at + nameOctets - 2).toLowerCase());
    }
    const next = nextSector(octets, sector, size);
    if (next === undefined) return { names, incomplete: true };
    sector = next;
  }
  return { names, incomplete: names.length === 0 };
}

/** What follows a sector in its chain: the FAT, whose first 109 sectors stand in the header. */
function nextSector(octets: Buffer, sector: number, size: number): number | undefined {
  const perSector = size / 4;
  const index = Math.floor(sector / perSector);
  // Files whose FAT goes on past that are larger than 6 MiB; their directories seldom do.
  if (index >= 109) return undefined;
  const fatSector = octets.readUInt32LE(76 + 4 * index);
  const at = (fatSector + 1) * size + 4 * (sector % perSector);
  return at + 4 <= octets.length ? octets.readUInt32LE(at) : undefined;
}
