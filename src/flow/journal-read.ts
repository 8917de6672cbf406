/** Reads a segment that an earlier process left: its records, which of them are done, and what is damaged. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { readDoneMarks } from './journal-done.ts';
import { type Damage, type FoundRecord, type ReadAt, scanSegment } from './journal-record.ts';
import { doneName, type FoundSegment } from './journal-segments.ts';

export interface SegmentRecord extends FoundRecord {
  /** Delivered or queued already, and nothing was lost since. */
  readonly done: boolean;
}

/** Records in order; memory holds one of them. @throws system errors */
export function* readSegment(
  segment: FoundSegment,
  bootId: string,
  onDamage: (damage: Damage) => void,
): Generator<SegmentRecord> {
  const done = readDoneMarks(doneName(segment.path), bootId);
  const fd = openSync(segment.path, 'r');
  try {
    const readAt = windowOf(fd);
    for (const record of scanSegment(segment, fstatSync(fd).size, readAt, onDamage)) {
      yield { ...record, done: done.has(record.sequence) };
    }
  } finally {
    closeSync(fd);
  }
}

/** The unused rest of a segment is looked at in blocks: reading far ahead makes that cheap. */
const windowBytes = 1024 * 1024;

function windowOf(fd: number): ReadAt {
  let window: Buffer = Buffer.alloc(0);
  let start = 0;
  return (offset, length) => {
    if (offset < start || offset + length > start + window.length) {
      window = readFully(fd, offset, Math.max(length, windowBytes));
      start = offset;
    }
    return window.subarray(offset - start, offset - start + length);
  };
}

function readFully(fd: number, offset: number, length: number): Buffer {
  const octets = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const read = readSync(fd, octets, filled, length - filled, offset + filled);
    if (read === 0) break;
    filled += read;
  }
  return octets.subarray(0, filled);
}
