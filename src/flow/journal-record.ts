/**
 * The journal's record: how one accepted message lies in a segment, and how records are found again.
 *
 * A segment is written in groups, one for each sync. A group begins at a multiple of 4 KiB and is padded to one, so
 * that no block is written twice. In a group records follow one another, each aligned to 8 octets:
 *
 *     0  magic "MFJ1"            24  sequence in the segment (u32)   44  CRC-32 of the plan
 *     4  version (u16)           28  sequence of the first record    48  CRC-32 of the body
 *     6  zeros                       of its group (u32)              52  CRC-32 of octets 0 to 51
 *     8  salt of the segment     32  octets of the plan (u32)        56  zeros up to 64
 *    16  its generation (u48)    36  octets of the body (u32)
 *    22  zeros                   40  zeros
 *    64  plan (JSON), body, zeros up to the next multiple of 8
 *
 * The salt is random and part of the segment's name: what lay in a segment before it was used again, and whatever
 * somebody puts into a message, can never be taken for a record.
 */
import { crc32 } from 'node:zlib';

const recordVersion = 1;
export const blockBytes = 4096;
const headerBytes = 64;
const checkedBytes = 52;
const magic = Buffer.from('MFJ1');
const zeros = Buffer.alloc(blockBytes);

/** What tells the records of one use of a segment from all others. */
export interface SegmentIdentity {
  readonly generation: number;
  /** 8 octets. */
  readonly salt: Buffer;
}

export interface RecordPosition {
  readonly sequence: number;
  /** Sequence of the first record of its group: all before it were synced before this group was written. */
  readonly groupStart: number;
}

/** Octets of a record in a segment, its alignment included. */
export function recordLength(planBytes: number, bodyBytes: number): number {
  return alignTo(headerBytes + planBytes + bodyBytes, 8);
}

/** The octets of one record, to be written one after the other; the body is not copied. */
export function encodeRecord(
  identity: SegmentIdentity,
  position: RecordPosition,
  plan: Buffer,
  body: Uint8Array,
  bodyCrc32: number,
): Uint8Array[] {
  const top = Buffer.alloc(headerBytes + plan.length);
  magic.copy(top, 0);
  top.writeUInt16LE(recordVersion, 4);
  identity.salt.copy(top, 8);
  top.writeUIntLE(identity.generation, 16, 6);
  top.writeUInt32LE(position.sequence, 24);
  top.writeUInt32LE(position.groupStart, 28);
  top.writeUInt32LE(plan.length, 32);
  top.writeUInt32LE(body.length, 36);
  top.writeUInt32LE(crc32(plan), 44);
  top.writeUInt32LE(bodyCrc32, 48);
  top.writeUInt32LE(crc32(top.subarray(0, checkedBytes)), 52);
  plan.copy(top, headerBytes);
  const length = top.length + body.length;
  return [top, body, zeros.subarray(0, alignTo(length, 8) - length)];
}

/** Zeros that fill a group of that many octets up to the next block. */
export function groupPadding(length: number): Uint8Array {
  return zeros.subarray(0, alignTo(length, blockBytes) - length);
}

export interface FoundRecord extends RecordPosition {
  readonly plan: Buffer;
  /** A view that is valid until the next record is asked for. */
  readonly body: Buffer;
  readonly offset: number;
}

/** Octets that should have been a record and are none. */
export interface Damage {
  /**
   * `torn`: at the end of what was written, as a power cut leaves it; nothing there was acknowledged, unless the disk
   * lies about syncs. `corrupt`: records of a later sync follow, so that this was acknowledged. `version`: written by
   * a newer program.
   */
  readonly kind: 'torn' | 'corrupt' | 'version';
  readonly offset: number;
  readonly bytes: number;
  /** Records that are missing there, where their numbers tell. */
  readonly records: number;
}

/** Reads octets of the segment; fewer only at its end. */
export type ReadAt = (offset: number, length: number) => Buffer;

/** All good records in order; what is damaged between them is told as it is passed, and at the end. */
export function* scanSegment(
  identity: SegmentIdentity,
  segmentBytes: number,
  readAt: ReadAt,
  onDamage: (damage: Damage) => void,
): Generator<FoundRecord> {
  let offset = 0;
  let nextSequence = 0;
  /** The first octets that look like a record of ours and are none. */
  let bad: { start: number; end: number; version: boolean } | undefined;
  let goodEnd = 0;

  while (offset + headerBytes <= segmentBytes) {
    const head = readHead(identity, readAt, offset, segmentBytes);
    const record = head === 'damaged' ? undefined : head && readRecord(head, readAt, offset);
    if (!record) {
      if (head) {
        bad ??= { start: offset, end: offset, version: false };
        bad.version ||= head !== 'damaged' && head.version !== recordVersion;
        bad.end = offset + (head === 'damaged' ? headerBytes : recordLength(head.planBytes, head.bodyBytes));
      }
      // Lengths that were read from damaged octets are not followed: only a group can begin after them, at a block.
      offset = alignTo(offset + 1, blockBytes);
      continue;
    }
    const missing = record.sequence - nextSequence;
    if (bad || missing > 0) {
      const start = bad?.start ?? goodEnd;
      const acknowledged = nextSequence < record.groupStart;
      const kind = bad?.version ? 'version' : acknowledged ? 'corrupt' : 'torn';
      onDamage({ kind, offset: start, bytes: offset - start, records: missing });
      bad = undefined;
    }
    yield record;
    nextSequence = record.sequence + 1;
    offset += recordLength(record.plan.length, record.body.length);
    goodEnd = offset;
  }
  if (bad) {
    onDamage({
      kind: bad.version ? 'version' : 'torn',
      offset: bad.start,
      bytes: bad.end - bad.start,
      records: 1,
    });
  }
}

interface Head extends RecordPosition {
  readonly version: number;
  readonly planBytes: number;
  readonly bodyBytes: number;
  readonly planCrc32: number;
  readonly bodyCrc32: number;
}

/** Undefined where no record of this use of the segment begins. */
function readHead(
  identity: SegmentIdentity,
  readAt: ReadAt,
  offset: number,
  segmentBytes: number,
): Head | 'damaged' | undefined {
  const header = readAt(offset, headerBytes);
  if (header.length < headerBytes) return undefined;
  const isMagic = header.compare(magic, 0, 4, 0, 4) === 0;
  const isSalt = header.compare(identity.salt, 0, 8, 8, 16) === 0;
  const isGeneration = header.readUIntLE(16, 6) === identity.generation;
  // One field may be damaged itself, and the record is still ours to report.
  if (!isSalt && !(isMagic && isGeneration)) return undefined;
  const isWhole = header.readUInt32LE(52) === crc32(header.subarray(0, checkedBytes));
  if (!isMagic || !isSalt || !isGeneration || !isWhole) return 'damaged';
  const head: Head = {
    version: header.readUInt16LE(4),
    sequence: header.readUInt32LE(24),
    groupStart: header.readUInt32LE(28),
    planBytes: header.readUInt32LE(32),
    bodyBytes: header.readUInt32LE(36),
    planCrc32: header.readUInt32LE(44),
    bodyCrc32: header.readUInt32LE(48),
  };
  return offset + recordLength(head.planBytes, head.bodyBytes) <= segmentBytes ? head : 'damaged';
}

function readRecord(head: Head, readAt: ReadAt, offset: number): FoundRecord | undefined {
  if (head.version !== recordVersion) return undefined;
  const octets = readAt(offset + headerBytes, head.planBytes + head.bodyBytes);
  if (octets.length < head.planBytes + head.bodyBytes) return undefined;
  const plan = octets.subarray(0, head.planBytes);
  const body = octets.subarray(head.planBytes);
  if (crc32(plan) !== head.planCrc32 || crc32(body) !== head.bodyCrc32) return undefined;
  return { sequence: head.sequence, groupStart: head.groupStart, plan, body, offset };
}

function alignTo(length: number, unit: number): number {
  return Math.ceil(length / unit) * unit;
}
