/** A full disk: on the journal nothing is accepted, on a mailbox it is deferred; service resumes by itself when space returns. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { OperationalError } from '../../core/base/errors.ts';
import type { StoreAction } from '../../src/delivery/store.ts';
import { createSpool } from '../../src/flow/spool.ts';
import { maildirTexts, messageText, openAcceptance, planOf, storedText } from '../flow/acceptance-kit.ts';
import { fill, smallDisk } from './small-disk.ts';

const KiB = 1024;

function isFull(error: unknown): boolean {
  return error instanceof OperationalError && error.code === 'storage-full' && error.temporary;
}

async function accept(
  house: ReturnType<typeof openAcceptance>,
  id: string,
  mailRoot: string,
  bytes = 20 * KiB,
): Promise<void> {
  const buffer = new SharedArrayBuffer(bytes * 2);
  const octets = Buffer.from(messageText(id, bytes));
  new Uint8Array(buffer).set(octets);
  const source = { kind: 'memory' as const, buffer, offset: 0, length: octets.length };
  await house.acceptance.accept({ accepted: planOf(id, mailRoot), source });
}

test('the journal cannot grow: 452 and nothing accepted; then space returns', async (t) => {
  const root = smallDisk(t, 2000);
  if (root === undefined) return;
  const mailRoot = mkdtempSync(join(tmpdir(), 'mail-'));
  t.after(() => rmSync(mailRoot, { recursive: true, force: true }));
  const house = openAcceptance(root, { journal: { segmentBytes: 256 * KiB, checkpointMs: 3_600_000 } });
  await house.acceptance.recover();
  const filler = fill(root);
  const taken: string[] = [];
  let refused = 0;
  for (let i = 0; i < 60; i += 1) {
    try {
      await accept(house, `FULL${i}`, mailRoot);
      taken.push(`FULL${i}`);
    } catch (error) {
      assert.ok(isFull(error), String(error));
      refused += 1;
    }
  }
  assert.ok(refused > 0 && taken.length > 0, `${refused} refused, ${taken.length} taken`);
  rmSync(filler);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await accept(house, 'AFTER', mailRoot);
  const want = [...taken, 'AFTER'].map((id) => storedText(id, 20 * KiB)).sort();
  assert.deepEqual(maildirTexts(join(mailRoot, 'mail')).sort(), want);
  await house.acceptance.drain();
  await house.acceptance.close();
});

test('a mailbox is full after the 250: deferred, and stored when space returns', async (t) => {
  const disk = smallDisk(t, 400);
  if (disk === undefined) return;
  const root = mkdtempSync(join(tmpdir(), 'data-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const house = openAcceptance(root);
  await house.acceptance.recover();
  const filler = fill(disk);
  await accept(house, 'LATER', disk);
  await house.acceptance.drain();
  const [entry] = house.queue.entries.values();
  assert.ok(entry?.work.kind === 'store' && /ENOSPC/.test(entry.lastError ?? ''));
  assert.deepEqual(maildirTexts(disk), [], 'nothing partial');
  const action = entry.work.store as StoreAction;
  await assert.rejects(house.acceptance.store(action, entry.edits, house.queue.sources.get(entry.id)!));
  rmSync(filler);
  await house.acceptance.store(action, entry.edits, house.queue.sources.get(entry.id)!);
  assert.deepEqual(maildirTexts(disk), [storedText('LATER', 20 * KiB)]);
  await house.acceptance.close();
});

test('an mbox is full after the 250: the append is undone', async (t) => {
  const disk = smallDisk(t, 400);
  if (disk === undefined) return;
  const root = mkdtempSync(join(tmpdir(), 'data-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const house = openAcceptance(root);
  await house.acceptance.recover();
  writeFileSync(join(disk, 'box'), 'From a Thu Jan  1 00:00:00 1970\n\nbefore\n\n');
  fill(disk);
  const octets = Buffer.from(messageText('BOX', 20 * KiB));
  const buffer = new SharedArrayBuffer(octets.length);
  new Uint8Array(buffer).set(octets);
  const accepted = planOf('BOX', root, [{ format: 'mbox', path: join(disk, 'box') }]);
  await house.acceptance.accept({
    accepted,
    source: { kind: 'memory', buffer, offset: 0, length: octets.length },
  });
  await house.acceptance.drain();
  assert.equal(house.queue.entries.size, 1);
  const { stdout } = spawnSync('cat', [join(disk, 'box')], { encoding: 'latin1' });
  assert.equal(stdout, 'From a Thu Jan  1 00:00:00 1970\n\nbefore\n\n');
  await house.acceptance.close();
});

test('with a sync for each file a full mailbox is the answer', async (t) => {
  const disk = smallDisk(t, 400);
  if (disk === undefined) return;
  mkdirSync(join(disk, 'mail'));
  const root = mkdtempSync(join(tmpdir(), 'data-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const house = openAcceptance(root, { durability: 'file' });
  await house.acceptance.recover();
  const filler = fill(disk);
  await assert.rejects(accept(house, 'FULL', disk), isFull);
  assert.deepEqual(maildirTexts(disk), []);
  rmSync(filler);
  await accept(house, 'AFTER', disk);
  assert.deepEqual(maildirTexts(disk), [storedText('AFTER', 20 * KiB)]);
  await house.acceptance.close();
});

test('the spool cannot be written: 452 at the end of the message, and it is tried anew for the next', async (t) => {
  const disk = smallDisk(t, 400);
  if (disk === undefined) return;
  const spool = createSpool({
    directory: join(disk, 'spool'),
    limits: { memoryMessageBytesMax: 0, memoryTotalBytesMax: 0 },
  });
  const filler = fill(disk);
  const full = spool.open();
  for (let i = 0; i < 20; i += 1) await full.write(Buffer.alloc(10 * KiB));
  await assert.rejects(full.finish(), isFull);
  rmSync(filler);
  const next = spool.open();
  await next.write(Buffer.alloc(10 * KiB));
  (await next.finish()).release();
});
