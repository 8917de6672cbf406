/** What a file and all that is in it are: names and kinds, archives opened in memory, within limits that hostile ones cannot pass. */
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { isArchiveExtension, isDocument } from './formats.ts';
import { type Entry, type Listing, unreadable } from './listing.ts';
import { type FileKind, findKind, kindOf, magicOctets } from './magic.ts';
import { cutName, judgeFileName, plainName, pretendsHarmless } from './names.ts';
import { judgeOle } from './ole.ts';
import { listRar } from './rar.ts';
import { listSevenZip } from './seven-zip.ts';
import { listTar } from './tar.ts';
import { listZip } from './zip.ts';

export const traits = [
  /** It runs when it is opened, by its name or by its octets. */
  'executable',
  /** Its name or ending is made to hide what it is. */
  'disguised',
  /** A document with macros. */
  'macros',
  /** With a password, or with files that have one. */
  'encrypted',
  'archive',
  /** An archive or document that could not be seen whole. */
  'unreadable',
  /** It would unpack to far more than mail holds. */
  'bomb',
] as const;
export type Trait = (typeof traits)[number];

export interface FileFacts {
  /** Names from the attachment down to the file. */
  readonly path: readonly string[];
  /** Lower case; '' where there is none. */
  readonly extension: string;
  /** As declared, lower case; '' in an archive. */
  readonly type: string;
  readonly traits: ReadonlySet<Trait>;
}

export interface InspectLimits {
  /** Archives within archives. */
  readonly depthMax: number;
  /** Files in all archives of a message. */
  readonly filesMax: number;
  /** Octets unpacked in memory, of all archives of a message. */
  readonly unpackedBytesMax: number;
  /** @throws when nobody waits for an answer any more */
  readonly inTime?: () => void;
}

/** So much larger, and so large at all, is no document. */
const bombRatio = 200;
const bombOctetsMin = 64 * 1024 * 1024;

/** Looks into the files of one message. */
export class Inspection {
  readonly #limits: InspectLimits;
  readonly #found: FileFacts[] = [];
  #filesLeft: number;
  #octetsLeft: number;

  constructor(limits: InspectLimits) {
    this.#limits = limits;
    this.#filesLeft = limits.filesMax;
    this.#octetsLeft = limits.unpackedBytesMax;
  }

  /** Files come before those in them. */
  get found(): readonly FileFacts[] {
    return this.#found;
  }

  /**
   * @param names all that a reader may show for the file: the first is told
   * @param octets undefined where they cannot be had
   */
  async add(names: readonly string[], type: string, octets: Buffer | undefined): Promise<void> {
    for (const name of names.slice(1)) this.#note([name], '', nameTraits(name));
    await this.#inspect([names[0] ?? ''], type, octets, 0);
  }

  #note(path: readonly string[], type: string, found: ReadonlySet<Trait>): void {
    const name = path.at(-1) ?? '';
    const { extension } = judgeFileName(name);
    this.#found.push({ path: path.map(plainName), extension, type, traits: found });
  }

  async #inspect(
    path: readonly string[],
    type: string,
    octets: Buffer | undefined,
    depth: number,
  ): Promise<void> {
    const name = path.at(-1) ?? '';
    const { kind, start } = findKind(octets ?? nothing);
    const { extension } = judgeFileName(name);
    const found = nameTraits(name);
    if (octets === undefined || (kind === 'unknown' && isArchiveExtension(extension)))
      found.add('unreadable');
    // Before what is in it, and with what is found out in it.
    this.#note(path, type, found);
    if (kind === 'executable') {
      found.add('executable');
      if (pretendsHarmless(name)) found.add('disguised');
    }
    if (octets === undefined || kind === 'unknown' || kind === 'executable') return;
    if (kind === 'ole') {
      const { macros, encrypted, incomplete } = judgeOle(octets);
      if (macros) found.add('macros');
      if (encrypted) found.add('encrypted');
      if (incomplete) found.add('unreadable');
      return;
    }
    const listing =
      depth < this.#limits.depthMax ? await this.#list(kind, name, octets.subarray(start)) : unreadable;
    if (kind !== 'zip' || !isDocument(octets, extension, listing)) found.add('archive');
    judgeListing(listing, octets.length, found);
    this.#filesLeft -= listing.folders ?? 0;
    for (const entry of listing.entries)
      await this.#inspectEntry([...path, cutName(entry.name)], entry, found, depth + 1);
  }

  async #list(kind: FileKind, name: string, octets: Buffer): Promise<Listing> {
    switch (kind) {
      case 'zip':
        return await listZip(octets, this.#filesLeft);
      case 'tar':
        return listTar(octets, this.#filesLeft);
      case 'rar':
        return listRar(octets, this.#filesLeft);
      case '7z':
        return listSevenZip(octets, this.#filesLeft);
      case 'gzip':
        return await this.#listGzip(name, octets);
      default:
        return { ...unreadable, entries: [packed(name, octets)] };
    }
  }

  /** RFC 1952: one file, which may be a tar. */
  async #listGzip(name: string, octets: Buffer): Promise<Listing> {
    try {
      const content: Buffer = await promisify(gunzip)(octets, { maxOutputLength: this.#octetsLeft });
      this.#octetsLeft -= content.length;
      const entry: Entry = {
        name: gzipName(octets) ?? packed(name, octets).name,
        encrypted: false,
        size: content.length,
        packedSize: octets.length,
        read: async () => content,
      };
      return { entries: [entry], incomplete: false, encrypted: false };
    } catch {
      // Too much, or broken, after who knows how many octets: its name is all that can be told.
      this.#octetsLeft = 0;
      return { ...unreadable, entries: [packed(name, octets)] };
    }
  }

  async #inspectEntry(
    path: readonly string[],
    entry: Entry,
    container: Set<Trait>,
    depth: number,
  ): Promise<void> {
    this.#limits.inTime?.();
    if (this.#filesLeft-- <= 0) {
      container.add('unreadable');
      return;
    }
    if (entry.encrypted) container.add('encrypted');
    if (hasMacros(path.at(-1) ?? '')) container.add('macros');
    const octets = await this.#read(path.at(-1) ?? '', entry, container);
    if (octets !== undefined) await this.#inspect(path, '', octets, depth);
    else this.#note(path, '', nameTraits(path.at(-1) ?? ''));
  }

  /** Its beginning; the whole where that shows an archive or a document. Undefined where it cannot be read. */
  async #read(name: string, { read, size }: Entry, container: Set<Trait>): Promise<Buffer | undefined> {
    if (read === undefined) return undefined;
    try {
      const beginning = await read(magicOctets);
      if (beginning.length < magicOctets || !isWholeNeeded(name, beginning)) return beginning;
      if (this.#octetsLeft <= 0 || (size ?? 0) > this.#octetsLeft) {
        container.add('unreadable');
        return undefined;
      }
      return await this.#readWhole(read);
    } catch {
      // A broken archive, or a method of packing that is not known here.
      container.add('unreadable');
      return undefined;
    }
  }

  /** What fails has cost as much as it may. */
  async #readWhole(read: NonNullable<Entry['read']>): Promise<Buffer> {
    const left = this.#octetsLeft;
    this.#octetsLeft = 0;
    const octets = await read(left);
    this.#octetsLeft = left - octets.length;
    return octets;
  }
}

const nothing = Buffer.alloc(0);

/** Of what is called an archive, the archive may stand behind other octets. */
function isWholeNeeded(name: string, beginning: Buffer): boolean {
  const kind = kindOf(beginning);
  return kind === 'unknown' ? isArchiveExtension(judgeFileName(name).extension) : kind !== 'executable';
}

function nameTraits(name: string): Set<Trait> {
  const { executable, disguised, macros } = judgeFileName(name);
  return new Set<Trait>([
    ...(executable ? (['executable'] as const) : []),
    ...(disguised ? (['disguised'] as const) : []),
    ...(macros ? (['macros'] as const) : []),
  ]);
}

function judgeListing(
  { entries, incomplete, encrypted }: Listing,
  packedOctets: number,
  found: Set<Trait>,
): void {
  if (incomplete) found.add('unreadable');
  if (encrypted) found.add('encrypted');
  const unpacked = entries.reduce((sum, { size = 0 }) => sum + size, 0);
  if (unpacked > bombOctetsMin && unpacked > packedOctets * bombRatio) found.add('bomb');
}

/** Where documents of ECMA-376, and of ODF, keep programs. */
function hasMacros(name: string): boolean {
  return /(?:^|\/)vbaproject\.bin$|^xl\/macrosheets\/|^basic\/.*\.x(?:ml|ba|lb)$/i.test(name);
}

/** RFC 1952 section 2.3: the name stands before the data, after fields that may be missing. */
function gzipName(octets: Buffer): string | undefined {
  const flags = octets[3] ?? 0;
  if ((flags & 8) === 0) return undefined;
  const start = (flags & 4) === 0 || octets.length < 12 ? 10 : 12 + octets.readUInt16LE(10);
  const end = octets.indexOf(0, start);
  return end < 0 || end === start ? undefined : cutName(octets.toString('latin1', start, end));
}

/** `a.exe.xz` holds `a.exe`. */
function packed(name: string, octets: Buffer): Entry {
  return {
    name: plainName(name)
      .replace(/\.(?:tgz|tbz2?|txz)$/i, '.tar')
      .replace(/\.(?:gz|bz2|xz|zst|z)$/i, ''),
    encrypted: false,
    size: undefined,
    packedSize: octets.length,
  };
}
