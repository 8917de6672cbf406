/**
 * Which records of a segment are done: a file beside it, appended to without sync. It is believed only within the boot
 * that wrote it, when nothing can have been lost; then mail that a user moved or deleted since does not come back.
 *
 * `MFD1 <boot id>\n`, then 8 octets for each record: its sequence, and the complement of it.
 */
import { closeSync, ftruncateSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { unknownBoot } from '../../core/base/boot-id.ts';
import { errnoOf } from '../../core/base/errors.ts';

export interface DoneMarks {
  add(sequence: number): void;
  close(): void;
}

/** Marks of one turn of the event loop are written together. A failure to write costs only the protection above. */
export function createDoneMarks(path: string, bootId: string): DoneMarks {
  let fd: number | undefined;
  let pending: number[] = [];
  let failed = false;

  function flush(): void {
    if (pending.length === 0 || failed) return;
    const marks = Buffer.alloc(pending.length * markBytes);
    pending.forEach((sequence, index) => {
      marks.writeUInt32LE(sequence, index * markBytes);
      marks.writeUInt32LE(~sequence >>> 0, index * markBytes + 4);
    });
    pending = [];
    try {
      fd ??= openWithHead(path, bootId);
      writeSync(fd, marks);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      failed = true;
    }
  }

  return {
    add(sequence) {
      if (pending.push(sequence) === 1) setImmediate(flush);
    },
    close() {
      flush();
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
      failed = true;
    },
  };
}

/** Sequences of the records that are done; none when the marks are of another boot. */
export function readDoneMarks(path: string, bootId: string): Set<number> {
  const done = new Set<number>();
  let octets: Buffer;
  try {
    octets = readFileSync(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return done;
    throw error;
  }
  const head = Buffer.from(headOf(bootId));
  if (bootId === unknownBoot || !octets.subarray(0, head.length).equals(head)) return done;
  for (let at = head.length; at + markBytes <= octets.length; at += markBytes) {
    const sequence = octets.readUInt32LE(at);
    if (octets.readUInt32LE(at + 4) === ~sequence >>> 0) done.add(sequence);
  }
  return done;
}

const markBytes = 8;

function headOf(bootId: string): string {
  return `MFD1 ${bootId}\n`;
}

/** Marks of this boot are added to; those of another are of no use any more. */
function openWithHead(path: string, bootId: string): number {
  const head = headOf(bootId);
  const fd = openSync(path, 'a+', 0o600);
  const found = Buffer.alloc(head.length);
  readSync(fd, found, 0, found.length, 0);
  if (found.toString('latin1') === head) return fd;
  ftruncateSync(fd, 0);
  writeSync(fd, head);
  return fd;
}
