/** Lists a zip file by its central directory, and reads single files of it in memory. PKWARE APPNOTE sections 4.3 and 4.4. */
import type { Readable } from 'node:stream';
import { fromBuffer, getFileNameLowLevel, type Entry as ZipEntry, type ZipFile } from 'yauzl';
import { type Entry, type Listing, unreadable } from './listing.ts';

/** @param entriesMax more are not listed, and the listing is then incomplete */
export async function listZip(octets: Buffer, entriesMax: number): Promise<Listing> {
  let zip: ZipFile;
  try {
    zip = await open(octets.subarray(startOf(octets)));
  } catch {
    return unreadable; // whatever yauzl does not take is told as such
  }
  const entries: Entry[] = [];
  let folders = 0;
  try {
    for await (const entry of entriesOf(zip)) {
      if (entries.length + folders >= entriesMax)
        return { entries, incomplete: true, encrypted: false, folders };
      const file = readEntry(zip, entry);
      if (file.name.endsWith('/')) folders += 1;
      else entries.push(file);
    }
  } catch (error) {
    // The central directory itself may be encrypted, or a file with more than a password. APPNOTE section 7.
    const encrypted = /strong encryption/.test(String(error));
    return { entries, incomplete: true, encrypted, folders };
  }
  return { entries, incomplete: false, encrypted: false, folders };
}

/**
 * Where octets stand before it that its offsets do not count: its directory ends where the last record begins. APPNOTE section 4.3.16.
 * @throws where there are two directories, of which programs take one or the other
 */
function startOf(octets: Buffer): number {
  const end = octets.lastIndexOf(lastRecord, -22, 'latin1');
  if (end < 0) return 0;
  const offset = octets.readUInt32LE(end + 16);
  const start = end - octets.readUInt32LE(end + 12) - offset;
  const isDirectory = (at: number) => octets.toString('latin1', at, at + 4) === directoryEntry;
  // Of more than 4 GiB the numbers stand elsewhere; a record of that kind may stand before the last one.
  if (start <= 0 || !isDirectory(start + offset)) return 0;
  if (isDirectory(offset)) throw new Error('two directories');
  return start;
}

const directoryEntry = 'PK\x01\x02';
const lastRecord = 'PK\x05\x06';

// Names are decoded here: yauzl refuses a file for a name such as `..\\a`, and that would hide the others.
function open(octets: Buffer): Promise<ZipFile> {
  return new Promise((resolve, fail) => {
    fromBuffer(octets, { lazyEntries: true, decodeStrings: false }, (error, zip) => {
      if (error) fail(error);
      else resolve(zip);
    });
  });
}

async function* entriesOf(zip: ZipFile): AsyncGenerator<ZipEntry> {
  for (;;) {
    const entry = await next(zip);
    if (entry === undefined) return;
    yield entry;
  }
}

function next(zip: ZipFile): Promise<ZipEntry | undefined> {
  return new Promise((resolve, fail) => {
    const done = () => zip.removeAllListeners();
    zip.once('entry', (entry: ZipEntry) => {
      done();
      resolve(entry);
    });
    zip.once('end', () => {
      done();
      resolve(undefined);
    });
    zip.once('error', (error: Error) => {
      done();
      fail(error);
    });
    zip.readEntry();
  });
}

function readEntry(zip: ZipFile, entry: ZipEntry): Entry {
  const encrypted = entry.isEncrypted();
  return {
    name: getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileNameRaw, entry.extraFields, false),
    encrypted,
    size: entry.uncompressedSize,
    packedSize: entry.compressedSize,
    ...(!encrypted && { read: (octetsMax) => readFile(zip, entry, octetsMax) }),
  };
}

async function readFile(zip: ZipFile, entry: ZipEntry, octetsMax: number): Promise<Buffer> {
  const stream = await new Promise<Readable>((resolve, fail) => {
    zip.openReadStream(entry, (error, opened) => {
      if (error) fail(error);
      else resolve(opened);
    });
  });
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= octetsMax) break;
  }
  return Buffer.concat(chunks).subarray(0, octetsMax);
}
