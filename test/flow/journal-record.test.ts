/** Records of the journal: found again whole, and never found where octets are torn, flipped, stale or forged. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import {
  blockBytes,
  type Damage,
  encodeRecord,
  groupPadding,
  type SegmentIdentity,
  scanSegment,
} from '../../src/flow/journal-record.ts';

const segmentBytes = 128 * 1024;

interface Content {
  readonly plan: string;
  readonly body: Buffer;
}

function identityOf(generation: number): SegmentIdentity {
  return { generation, salt: randomBytes(8) };
}

/** A segment with these groups of records, and where each group ends. */
function segmentOf(identity: SegmentIdentity, groups: readonly (readonly Content[])[], under?: Buffer) {
  const segment = under ? Buffer.from(under) : Buffer.alloc(segmentBytes);
  const ends: number[] = [];
  const starts: number[] = [];
  let offset = 0;
  let sequence = 0;
  for (const group of groups) {
    const groupStart = sequence;
    let length = 0;
    for (const { plan, body } of group) {
      starts.push(offset + length);
      const octets = Buffer.concat(
        encodeRecord(identity, { sequence, groupStart }, Buffer.from(plan), body, crc32(body)),
      );
      octets.copy(segment, offset + length);
      length += octets.length;
      sequence += 1;
    }
    const padding = groupPadding(length);
    segment.set(padding, offset + length);
    offset += length + padding.length;
    ends.push(offset);
  }
  return { segment, ends, starts };
}

function scan(identity: SegmentIdentity, segment: Buffer) {
  const damage: Damage[] = [];
  const readAt = (offset: number, length: number) => segment.subarray(offset, offset + length);
  const records = [...scanSegment(identity, segment.length, readAt, (each) => damage.push(each))].map(
    ({ sequence, plan, body }) => ({ sequence, plan: plan.toString(), body: Buffer.from(body) }),
  );
  return { records, damage };
}

const content = fc.record({
  plan: fc.string({ maxLength: 300 }),
  body: fc.uint8Array({ maxLength: 9000 }).map((bytes) => Buffer.from(bytes)),
});
const groupsOf = fc.array(fc.array(content, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 4 });

function numbered(groups: readonly (readonly Content[])[]) {
  return groups.flat().map(({ plan, body }, sequence) => ({ sequence, plan, body }));
}

test('what was written is read, also over the records of an earlier use', () => {
  const before = identityOf(1);
  const stale = segmentOf(before, [
    [{ plan: 'old', body: randomBytes(50_000) }],
    [{ plan: 'older', body: randomBytes(40_000) }],
  ]);
  fc.assert(
    fc.property(groupsOf, (groups) => {
      const identity = identityOf(2);
      const { segment } = segmentOf(identity, groups, stale.segment);
      const found = scan(identity, segment);
      assert.deepEqual(found.records, numbered(groups));
      assert.deepEqual(found.damage, []);
    }),
    { numRuns: 100 },
  );
});

test('a tail torn at any octet: all records before it, one report, nothing invented', () => {
  fc.assert(
    fc.property(groupsOf, fc.nat(), fc.boolean(), (groups, cut, keepsRest) => {
      const identity = identityOf(3);
      const { segment, ends, starts } = segmentOf(identity, groups);
      const lastGroupStart = ends.at(-2) ?? 0;
      const at = lastGroupStart + (cut % (ends.at(-1)! - lastGroupStart));
      const torn = Buffer.from(segment);
      torn.fill(0, at, keepsRest ? Math.min(torn.length, Math.ceil((at + 1) / 512) * 512) : torn.length);
      const { records, damage } = scan(identity, torn);
      const all = numbered(groups);
      const synced = all.filter(({ sequence }) => starts[sequence]! < lastGroupStart);
      assert.deepEqual(records.slice(0, synced.length), synced);
      for (const record of records) assert.deepEqual(record, all[record.sequence]);
      assert.ok(
        damage.every(({ kind }) => kind === 'torn'),
        JSON.stringify(damage),
      );
    }),
    { numRuns: 300 },
  );
});

test('one flipped bit costs at most its record, and is reported where the record is', () => {
  fc.assert(
    fc.property(groupsOf, fc.nat(), fc.integer({ min: 0, max: 7 }), (groups, octet, bit) => {
      const identity = identityOf(4);
      const { segment, ends, starts } = segmentOf(identity, groups);
      const at = octet % ends.at(-1)!;
      segment[at]! ^= 1 << bit;
      const { records, damage } = scan(identity, segment);
      const all = numbered(groups);
      for (const record of records) assert.deepEqual(record, all[record.sequence]);
      const missing = all.filter(({ sequence }) => !records.some((record) => record.sequence === sequence));
      if (missing.length === 0) return assert.deepEqual(damage, []);
      assert.equal(damage.length, 1);
      const start = starts[missing[0]!.sequence]!;
      assert.ok(damage[0]!.offset === start, `${damage[0]!.offset} is not ${start}`);
      // Later groups are found in any case; what follows in the same group only where a block begins.
      const groupEnd = ends.find((end) => end > at)!;
      for (const { sequence } of all) {
        if (starts[sequence]! >= groupEnd) assert.ok(records.some((record) => record.sequence === sequence));
      }
      const laterGroups = ends.at(-1)! > groupEnd;
      assert.equal(damage[0]!.kind, laterGroups ? 'corrupt' : 'torn');
    }),
    { numRuns: 500 },
  );
});

test('a group that vanished between others is reported as acknowledged mail', () => {
  const identity = identityOf(5);
  const groups = [1, 2, 3].map((n) => [{ plan: `plan ${n}`, body: randomBytes(100) }]);
  const { segment } = segmentOf(identity, groups);
  segment.fill(0, blockBytes, 2 * blockBytes);
  const { records, damage } = scan(identity, segment);
  assert.deepEqual(
    records.map(({ sequence }) => sequence),
    [0, 2],
  );
  assert.deepEqual(
    damage.map(({ kind, records }) => ({ kind, records })),
    [{ kind: 'corrupt', records: 1 }],
  );
});

test('a record inside a message is no record', () => {
  const identity = identityOf(6);
  const guess = { generation: 6, salt: Buffer.alloc(8) };
  const inner = Buffer.concat(
    encodeRecord(
      guess,
      { sequence: 1, groupStart: 1 },
      Buffer.from('forged'),
      Buffer.from('forged'),
      crc32('forged'),
    ),
  );
  const body = Buffer.concat([Buffer.alloc(blockBytes - 64 - 4), inner, Buffer.alloc(3 * blockBytes)]);
  const { segment } = segmentOf(identity, [
    [{ plan: 'plan', body }],
    [{ plan: 'good', body: Buffer.alloc(0) }],
  ]);
  segment[70]! ^= 1;
  const { records, damage } = scan(identity, segment);
  assert.deepEqual(
    records.map(({ plan }) => plan),
    ['good'],
  );
  assert.equal(damage[0]!.kind, 'corrupt');
});

test('a record of a newer version is reported, not guessed at', () => {
  const identity = identityOf(7);
  const { segment } = segmentOf(identity, [[{ plan: 'new', body: Buffer.alloc(0) }]]);
  segment.writeUInt16LE(2, 4);
  segment.writeUInt32LE(crc32(segment.subarray(0, 52)), 52);
  assert.deepEqual(scan(identity, segment), {
    records: [],
    damage: [{ kind: 'version', offset: 0, bytes: 72, records: 1 }],
  });
});

test('random octets are an empty segment', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 9000, maxLength: 9000 }), (bytes) => {
      assert.deepEqual(scan(identityOf(8), Buffer.from(bytes)), { records: [], damage: [] });
    }),
    { numRuns: 20 },
  );
});
