/** The spool: small mail in shared memory, large mail in files, memory bounded, checksums right, nothing left behind. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { OperationalError } from '../../core/base/errors.ts';
import type { SpooledMessage } from '../../src/flow/session.ts';
import { createSpool, type Spool } from '../../src/flow/spool.ts';

const KiB = 1024;
const limits = { memoryMessageBytesMax: 256 * KiB, memoryTotalBytesMax: 1024 * KiB };
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'spool-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function bytesOf({ source }: SpooledMessage): Buffer {
  return source.kind === 'file'
    ? readFileSync(source.path)
    : Buffer.from(new Uint8Array(source.buffer, source.offset, source.length));
}

async function put(spool: Spool, bytes: Uint8Array, chunkBytes = 10_000): Promise<SpooledMessage> {
  const sink = spool.open();
  for (let at = 0; at < bytes.length; at += chunkBytes) await sink.write(bytes.subarray(at, at + chunkBytes));
  assert.equal(sink.length, bytes.length);
  return sink.finish();
}

const table = [
  { name: 'empty message', size: 0, kind: 'memory' },
  { name: 'first size class', size: 10 * KiB, kind: 'memory' },
  { name: 'exactly the first class', size: 16 * KiB, kind: 'memory' },
  { name: 'grows through two classes', size: 65 * KiB, kind: 'memory' },
  { name: 'the largest in memory', size: 256 * KiB, kind: 'memory' },
  { name: 'one octet too large for memory', size: 256 * KiB + 1, kind: 'file' },
  { name: 'many times too large', size: 3000 * KiB, kind: 'file' },
] as const;

for (const { name, size, kind } of table) {
  test(`bytes and checksums: ${name}`, async () => {
    const spool = createSpool({ directory, limits });
    const bytes = randomBytes(size);
    const spooled = await put(spool, bytes);
    assert.equal(spooled.source.kind, kind);
    assert.equal(spooled.source.length, size);
    assert.deepEqual(bytesOf(spooled), bytes);
    assert.equal(spooled.crc32, crc32(bytes));
    if (kind === 'file') {
      assert.deepEqual(Buffer.from(spooled.sha256!), createHash('sha256').update(bytes).digest());
    }
    spooled.release();
    await untilEmpty();
  });
}

async function untilEmpty(): Promise<void> {
  for (let turn = 0; turn < 1000 && readdirSync(directory).length > 0; turn += 1) await setImmediate();
  assert.deepEqual(readdirSync(directory), []);
}

test('a slot is used again only after its release', async () => {
  const spool = createSpool({ directory, limits });
  const first = await put(spool, Buffer.from('first'));
  const second = await put(spool, Buffer.from('second'));
  assert.ok(first.source.kind === 'memory' && second.source.kind === 'memory');
  assert.notEqual(first.source.buffer, second.source.buffer);
  first.release();
  first.release();
  const third = await put(spool, Buffer.from('third'));
  const fourth = await put(spool, Buffer.from('fourth'));
  assert.ok(third.source.kind === 'memory' && fourth.source.kind === 'memory');
  assert.equal(third.source.buffer, first.source.buffer);
  assert.notEqual(fourth.source.buffer, first.source.buffer, 'a second release gave the slot away twice');
  assert.equal(bytesOf(second).toString(), 'second');
});

test('memory of all messages together is bounded: the rest goes to files', async () => {
  const spool = createSpool({ directory, limits });
  const bytes = randomBytes(200 * KiB);
  const messages: SpooledMessage[] = [];
  for (let i = 0; i < 10; i += 1) messages.push(await put(spool, bytes));
  const kinds = messages.map(({ source }) => source.kind);
  assert.ok(spool.memoryBytes <= limits.memoryTotalBytesMax);
  assert.ok(kinds.includes('memory') && kinds.includes('file'), kinds.join());
  for (const message of messages) assert.deepEqual(bytesOf(message), bytes);
  for (const message of messages) message.release();
  await untilEmpty();
  // Kept slots of one class must not starve another.
  const small = await Promise.all(Array.from({ length: 20 }, () => put(spool, Buffer.alloc(15 * KiB))));
  assert.ok(small.every(({ source }) => source.kind === 'memory'));
  assert.ok(spool.memoryBytes <= limits.memoryTotalBytesMax);
});

test('a fast sender waits: pending octets stay bounded', async () => {
  const spool = createSpool({ directory, limits });
  const sink = spool.open();
  const chunk = Buffer.alloc(64 * KiB, 'x');
  let waits = 0;
  for (let i = 0; i < 100; i += 1) {
    const wait = sink.write(chunk);
    if (wait) {
      waits += 1;
      await wait;
    }
  }
  assert.ok(waits > 10, `only ${waits} waits in 6.25 MiB`);
  const spooled = await sink.finish();
  assert.equal(readFileSync((spooled.source as { path: string }).path).length, 6400 * KiB);
});

test('an aborted message leaves neither file nor memory', async () => {
  const spool = createSpool({ directory, limits });
  const sink = spool.open();
  await sink.write(Buffer.alloc(1024 * KiB));
  sink.abort();
  await untilEmpty();
  const small = spool.open();
  small.write(Buffer.from('x'));
  const held = spool.memoryBytes;
  small.abort();
  await put(spool, Buffer.from('y'));
  assert.equal(spool.memoryBytes, held, 'the slot of the aborted message is used again');
});

test('a spool file that cannot be written is an OperationalError at the end, not a crash', async () => {
  const spool = createSpool({ directory, limits });
  rmSync(directory, { recursive: true });
  const sink = spool.open();
  for (let i = 0; i < 40; i += 1) await sink.write(Buffer.alloc(64 * KiB));
  await assert.rejects(sink.finish(), (error: unknown) => {
    assert.ok(error instanceof OperationalError);
    assert.equal(error.code, 'storage-failed');
    assert.equal(error.temporary, true);
    return true;
  });
});

test('files of an earlier process are removed at the start, strangers stay', () => {
  writeFileSync(join(directory, '17-1.spool'), 'left');
  writeFileSync(join(directory, 'README'), 'kept');
  assert.equal(createSpool({ directory, limits }).recover(), 1);
  assert.deepEqual(readdirSync(directory), ['README']);
});
