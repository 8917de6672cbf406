/**
 * Finds copies in an mbox by the id that each carries, and tells whole ones from what a crash left: the From_ line and
 * our fields must stand there, every other field must be there among those that mail readers added, and the body must
 * be the same octet for octet.
 */
import { closeSync, createReadStream, openSync, readSync } from 'node:fs';
import { foundNamesMax } from '../../core/base/limits/flow.ts';
import { type Checksum, checksumOf } from './checksum.ts';
import type { Copy } from './copy.ts';
import { deliveryField, quoted } from './mbox.ts';

const marker = Buffer.from(`\n${deliveryField}: `);
/** Our ids are far shorter; what is longer is not ours. */
const idBytesMax = 200;
/** A header of an mbox message that is read into memory; ours are limited to less. */
const headerBytesMax = 8 * 1024 * 1024;
/** A From_ line is an address and a date. */
const fromLineBytesMax = 2048;
/** The last line's end and the empty line: whoever appends next adds them where they are missing. */
const lineEnds = 2;
/** Fields that mail readers write and change. */
const changingFields = /^(Status|X-Status|X-Keywords):/i;

/** Delivery ids to the offset of the end of their line. Bounded memory: the last ones are kept, which crashes are about. */
export async function listMbox(path: string): Promise<Map<string, number>> {
  const ids = new Map<string, number>();
  let carried: Buffer = Buffer.alloc(0);
  let offset = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    const text = Buffer.concat([carried, chunk as Buffer]);
    for (let at = text.indexOf(marker); at >= 0; at = text.indexOf(marker, at + 1)) {
      const start = at + marker.length;
      const end = text.indexOf(10, start);
      if (end < 0 || end - start > idBytesMax) continue;
      const id = text.toString('latin1', start, end);
      ids.delete(id);
      ids.set(id, offset + end);
      if (ids.size > foundNamesMax / 2) ids.delete(ids.keys().next().value!);
    }
    carried = text.subarray(Math.max(0, text.length - marker.length - idBytesMax));
    offset += text.length - carried.length;
  }
  return ids;
}

/** @param at offset of the line end after the id */
export async function isWholeInMbox(path: string, at: number, copy: Copy): Promise<boolean> {
  const wanted = await partsOf(quoted(copy));
  const idLineEnd = wanted.header.indexOf(10, wanted.header.indexOf(marker) + 1);
  const top = wanted.header.subarray(0, idLineEnd);
  if (!topStandsAt(path, at, top)) return false;
  const found = await partsOf(createReadStream(path, { start: at }), wanted.body.length);
  const end = at + found.header.length + 2 + wanted.body.length;
  return (
    found.body.length === wanted.body.length &&
    found.body.crc32 === wanted.body.crc32 &&
    holdsLines(found.header, wanted.header.subarray(idLineEnd)) &&
    endsAt(path, end)
  );
}

/** The line ends, as far as the file goes; anything else there would be read as part of the message. */
function endsAt(path: string, end: number): boolean {
  const octets = read(path, end, lineEnds);
  return octets.every((octet) => octet === 10);
}

/** Our own fields right before the offset, and a From_ line before them. */
function topStandsAt(path: string, at: number, top: Buffer): boolean {
  const start = Math.max(0, at - top.length - fromLineBytesMax);
  const octets = read(path, start, at - start);
  if (octets.length < at - start || octets.length < top.length) return false;
  const before = octets.subarray(0, octets.length - top.length);
  const line = before.subarray(before.lastIndexOf(10, before.length - 2) + 1).toString('latin1');
  return octets.subarray(before.length).equals(top) && /^From \S+ .*\n$/.test(line);
}

/** Fewer octets at the end of the file. */
function read(path: string, start: number, length: number): Buffer {
  const octets = Buffer.alloc(length);
  const fd = openSync(path, 'r');
  try {
    return octets.subarray(0, readSync(fd, octets, 0, length, start));
  } finally {
    closeSync(fd);
  }
}

function holdsLines(header: Buffer, wanted: Buffer): boolean {
  const lines = new Set(header.toString('latin1').split('\n'));
  return wanted
    .toString('latin1')
    .split('\n')
    .every((line) => lines.has(line) || changingFields.test(line));
}

interface Parts {
  readonly header: Buffer;
  /** Of the whole body but its line ends, or of as many octets as were asked for. */
  readonly body: Checksum;
}

/** Header and body, parted at the first empty line, which belongs to neither. */
async function partsOf(chunks: AsyncIterable<Uint8Array>, bodyBytes?: number): Promise<Parts> {
  let header: Buffer = Buffer.alloc(0);
  async function* body(): AsyncGenerator<Buffer> {
    let inBody = false;
    for await (const chunk of chunks) {
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      if (inBody) {
        yield bytes;
        continue;
      }
      const searched = header.length;
      header = Buffer.concat([header, bytes]);
      const empty = header.indexOf('\n\n', Math.max(0, searched - 1));
      if (empty < 0 && header.length > headerBytesMax) return;
      if (empty < 0) continue;
      inBody = true;
      const first = header.subarray(empty + 2);
      // Before the first octets go out: whoever has enough of them does not come back.
      header = header.subarray(0, empty);
      yield first;
    }
  }
  const octets = bodyBytes === undefined ? withoutEnd(body(), lineEnds) : firstOf(body(), bodyBytes);
  const checksum = await checksumOf(octets);
  return { header, body: checksum };
}

/** All octets but the last ones. */
async function* withoutEnd(chunks: AsyncIterable<Buffer>, octets: number): AsyncGenerator<Buffer> {
  let kept: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    const text = kept.length === 0 ? chunk : Buffer.concat([kept, chunk]);
    const end = Math.max(0, text.length - octets);
    yield text.subarray(0, end);
    kept = Buffer.from(text.subarray(end));
  }
}

async function* firstOf(chunks: AsyncIterable<Buffer>, octets: number): AsyncGenerator<Buffer> {
  let left = octets;
  for await (const chunk of chunks) {
    yield chunk.subarray(0, left);
    left -= Math.min(left, chunk.length);
    if (left === 0) return;
  }
}
