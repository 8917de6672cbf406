/** Durability from outside: no answer before the sync, and power cuts at any moment lose and double nothing that was acknowledged. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { requireProgram } from '../kit/require.ts';
import { Disk } from './disk.ts';
import { idOf, storesOf } from './mail.ts';
import { acknowledgements, cutPower, traceWorkload } from './power-cut.ts';

const seed = Number(process.env.POWER_CUT_SEED ?? Date.now() % 1_000_000);

test('power cuts, with the journal: every acknowledged message is found whole, exactly once', async (t) => {
  if (!requireProgram(t, 'strace')) return;
  const report = await cutPower({ durability: 'journal', messages: 45, moments: 9, seed });
  t.diagnostic(JSON.stringify({ seed, ...report }));
  assert.deepEqual(report.failures, []);
  assert.equal(report.acknowledged, 45);
  assert.ok(report.replayed > 100, 'recovery had work to do');
});

test('power cuts, with a sync for each file', async (t) => {
  if (!requireProgram(t, 'strace')) return;
  const report = await cutPower({ durability: 'file', messages: 30, moments: 6, seed });
  t.diagnostic(JSON.stringify({ seed, ...report }));
  assert.deepEqual(report.failures, []);
  assert.equal(report.acknowledged, 30);
});

for (const without of ['fdatasync', 'fsync', 'syncfs']) {
  test(`the harness finds out a program that leaves out ${without}`, async (t) => {
    if (!requireProgram(t, 'strace')) return;
    // A checkpoint without its sync is only told from a good one once segments were let go of.
    const messages = without === 'syncfs' ? 60 : 15;
    const report = await cutPower({
      durability: 'journal',
      messages,
      moments: 3,
      seed: 7,
      without: [without],
    });
    assert.ok(report.failures.length > 0);
  });
}

test('no 250 before the sync of the octets it is about', async (t) => {
  if (!requireProgram(t, 'strace')) return;
  for (const durability of ['journal', 'file'] as const) {
    const parent = mkdtempSync(join(tmpdir(), 'sync-'));
    const root = join(parent, 'data');
    mkdirSync(root);
    try {
      const calls = await traceWorkload(root, join(parent, 'calls'), { durability, messages: 20 });
      const disk = new Disk(root, calls);
      for (const { number, start } of acknowledgements(calls)) {
        const writes = disk.operations.filter(
          (operation) => operation.kind === 'data' && operation.octets.includes(`ESMTP id ${idOf(number)}`),
        );
        const saved = writes.filter(({ savedAt }) => savedAt < start).length;
        const wanted = durability === 'journal' ? 1 : storesOf(number, root).length;
        assert.ok(
          saved >= wanted,
          `${durability}: ${idOf(number)} was answered with ${saved} of ${wanted} on disk`,
        );
      }
    } finally {
      rmSync(parent, { recursive: true, force: true });
    }
  }
});
