/**
 * Replaces the end of an mbox in its place, so that whoever waits for its lock goes on with the same file, and no crash
 * loses a message: the new end lies in a file of its own, synced, until it is in the mbox and synced there.
 *
 *     redo file synced -> mbox made longer (if it grows) -> new end written -> mbox cut (if it shrinks), synced -> redo file gone
 *
 * A crash between any two of these is mended by doing it once more. What other programs append meanwhile, after a crash,
 * stays at the end.
 */
import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { errnoOf } from '../../../core/base/errors.ts';
import { writeAllSync } from '../../../core/base/write-all.ts';

/** What the redo file's first line holds. */
interface Redo {
  readonly version: 1;
  /** Of the mbox: a file that took its place is another. */
  readonly inode: number;
  readonly offset: number;
  readonly oldSize: number;
  readonly length: number;
  readonly crc: number;
  /** Of what a cut takes away, where the mbox shrinks: tells whether it was cut. */
  readonly leftoverCrc: number;
}

/**
 * The caller holds the locks. On disk when it returns.
 * @param redoPath absolute, on any file system
 * @throws system errors: then the mbox is as before, or `mendMbox` completes it
 */
export function replaceEnd(fd: number, redoPath: string, offset: number, end: Uint8Array): void {
  const { size, ino } = fstatSync(fd);
  const newSize = offset + end.length;
  const redo: Redo = {
    version: 1,
    inode: ino,
    offset,
    oldSize: size,
    length: end.length,
    crc: crc32(end),
    leftoverCrc: newSize < size ? crc32(readRange(fd, newSize, size)) : 0,
  };
  writeRedo(redoPath, redo, end);
  apply(fd, redo, end);
  removeDurably(redoPath);
}

/** Completes what a crash cut off. The caller holds the locks. @returns true when there was something */
export function mendMbox(fd: number, redoPath: string): boolean {
  const found = readRedo(redoPath);
  if (!found) return false;
  const { redo, end } = found;
  const { size, ino } = fstatSync(fd);
  if (ino === redo.inode) {
    const foreign = readRange(fd, foreignStart(fd, redo, end, size), size);
    if (foreign.length > 0) replaceEnd(fd, redoPath, redo.offset, Buffer.concat([end, foreign]));
    else apply(fd, redo, end);
  }
  removeDurably(redoPath);
  return true;
}

function apply(fd: number, { offset, oldSize, length }: Redo, end: Uint8Array): void {
  // Longer first: so that the size tells whether what others append comes after the new end.
  if (offset + length > oldSize) ftruncateSync(fd, offset + length);
  writeAllSync(fd, [end], offset);
  if (offset + length < fstatSync(fd).size) {
    // What was written must be on disk before what it replaces is gone.
    fsyncSync(fd);
    ftruncateSync(fd, offset + length);
  }
  fsyncSync(fd);
}

/** Where that begins which others appended after the crash. */
function foreignStart(fd: number, redo: Redo, end: Uint8Array, size: number): number {
  const newSize = redo.offset + redo.length;
  if (newSize > redo.oldSize) {
    const grown = size >= newSize && isGrown(readRange(fd, redo.oldSize, newSize), end, redo);
    return grown ? newSize : Math.min(size, redo.oldSize);
  }
  if (newSize === redo.oldSize) return Math.min(size, newSize);
  const uncut = size >= redo.oldSize && crc32(readRange(fd, newSize, redo.oldSize)) === redo.leftoverCrc;
  return uncut ? redo.oldSize : Math.min(size, newSize);
}

/** Each octet there is still the zero of a longer file, or the new one. */
function isGrown(there: Uint8Array, end: Uint8Array, { offset, oldSize }: Redo): boolean {
  const planned = end.subarray(oldSize - offset);
  return there.every((octet, at) => octet === 0 || octet === planned[at]);
}

function writeRedo(path: string, redo: Redo, end: Uint8Array): void {
  const temporary = `${path}.tmp`;
  const fd = openSync(temporary, 'w', 0o600);
  try {
    writeAllSync(fd, [Buffer.from(`${JSON.stringify(redo)}\n`), end]);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
  syncDirectoryOf(path);
}

/** Undefined when there is none; one that is not whole was not begun to be applied. */
function readRedo(path: string): { redo: Redo; end: Uint8Array } | undefined {
  if (!statSync(path, { throwIfNoEntry: false })) return undefined;
  const octets = readFileSync(path);
  const lineEnd = octets.indexOf(10);
  const redo = JSON.parse(octets.toString('utf8', 0, lineEnd)) as Redo;
  const end = octets.subarray(lineEnd + 1);
  if (redo.version !== 1) throw new Error(`${path} is of a newer version`);
  return end.length === redo.length && crc32(end) === redo.crc ? { redo, end } : undefined;
}

/** Gone for good before the mbox changes again: an old end must never be written over a newer one. */
function removeDurably(path: string): void {
  rmSync(path, { force: true });
  syncDirectoryOf(path);
}

function syncDirectoryOf(path: string): void {
  const fd = openSync(dirname(path), 'r');
  try {
    fsyncSync(fd);
  } catch (error) {
    if (errnoOf(error) !== 'EINVAL') throw error;
  } finally {
    closeSync(fd);
  }
}

export function readRange(fd: number, start: number, end: number): Buffer {
  const octets = Buffer.allocUnsafe(Math.max(0, end - start));
  let filled = 0;
  while (filled < octets.length) {
    const read = readSync(fd, octets, filled, octets.length - filled, start + filled);
    if (read === 0) break;
    filled += read;
  }
  return octets.subarray(0, filled);
}
