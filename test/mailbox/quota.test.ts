/** Quota: what lies there and what is promised never exceed it together. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { parseMaildirSize } from '../../src/mailbox/maildirsize.ts';
import { createQuotaLedger } from '../../src/mailbox/quota.ts';

let root: string;
let now = 1_000_000;
const clock = { now: () => Date.now() + now, monotonicMs: () => now };

beforeEach(() => {
  root = join(mkdtempSync(join(tmpdir(), 'quota-')), 'alice');
});
afterEach(() => {
  rmSync(join(root, '..'), { recursive: true, force: true });
});

function fill(folder: string, name: string, octets: number): void {
  mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, folder, name), Buffer.alloc(octets));
}

test('a mailbox that is not there yet is empty', async () => {
  const ledger = createQuotaLedger({ format: 'maildir', clock });
  assert.equal(await ledger.reserve('a', root, 100, 100), true);
  assert.equal(await ledger.reserve('a', root, 100, 1), false);
});

test('sizes come from names, from files without them, and from sub-folders', async () => {
  fill('new', '1.a.h,S=40,W=41', 7);
  fill('cur', '2.a.h:2,S', 20);
  fill('.Junk/cur', '3.a.h,S=30,W=31:2,', 0);
  fill('tmp', '4', 500);
  const ledger = createQuotaLedger({ format: 'maildir', clock });
  assert.equal(await ledger.reserve('a', root, 100, 11), false);
  assert.equal(await ledger.reserve('a', root, 100, 10), true);
});

test('an mbox counts with its folders', async () => {
  mkdirSync(join(root, '..', '.alice', 'Lists.sbd'), { recursive: true });
  writeFileSync(root, Buffer.alloc(30));
  writeFileSync(join(root, '..', '.alice', 'Junk'), Buffer.alloc(20));
  writeFileSync(join(root, '..', '.alice', 'Lists.sbd', 'node'), Buffer.alloc(10));
  const ledger = createQuotaLedger({ format: 'mbox', clock });
  assert.equal(await ledger.reserve('a', root, 100, 41), false);
  assert.equal(await ledger.reserve('a', root, 100, 40), true);
});

test('two at once cannot have the same room', async () => {
  fill('new', '1.a.h,S=50,W=50', 0);
  const ledger = createQuotaLedger({ format: 'maildir', clock });
  const granted = await Promise.all(Array.from({ length: 5 }, () => ledger.reserve('a', root, 100, 20)));
  assert.ok(granted.filter(Boolean).length <= 2);
});

test('what is released is free again, what is stored stays taken, and both hold until the next count', async () => {
  const ledger = createQuotaLedger({ format: 'maildir', clock });
  assert.equal(await ledger.reserve('a', root, 100, 60), true);
  ledger.release('a', 60);
  ledger.stored('a', 60);
  assert.equal(await ledger.reserve('a', root, 100, 50), false);
  assert.equal(await ledger.reserve('a', root, 100, 40), true);
  ledger.release('a', 4000);
  assert.equal(await ledger.reserve('a', root, 100, 41), false, 'a release too much makes no room');
  now += 61_000;
  assert.equal(await ledger.reserve('a', root, 100, 100), true, 'counted again: nothing lies there');
});

test('maildirsize is believed, unless it is old and says full', async () => {
  fill('new', '1.a.h,S=10,W=10', 0);
  writeFileSync(join(root, 'maildirsize'), '100S\n90 3\n-20 -1\n');
  const fresh = createQuotaLedger({ format: 'maildir', clock: { now: Date.now, monotonicMs: () => 1e9 } });
  assert.equal(await fresh.reserve('a', root, 100, 31), false);
  assert.equal(await fresh.reserve('a', root, 100, 30), true);
  writeFileSync(join(root, 'maildirsize'), '100S\n150 3\n');
  utimesSync(join(root, 'maildirsize'), 1, 1);
  const old = createQuotaLedger({ format: 'maildir', clock: { now: Date.now, monotonicMs: () => 1e9 } });
  assert.equal(await old.reserve('a', root, 100, 90), true);
});

test('maildirsize as a table', () => {
  const table = [
    { text: '1000S,5C\n10 1\n20 2\n', want: { octets: 30, messages: 3, quotaOctets: 1000 } },
    { text: '5C\n', want: { octets: 0, messages: 0, quotaOctets: 0 } },
    { text: '\n7 1\n', want: { octets: 7, messages: 1, quotaOctets: 0 } },
    { text: '1000S\n   12  1  \n', want: { octets: 12, messages: 1, quotaOctets: 1000 } },
    { text: '1000S\nx\n', want: undefined },
    { text: 'what\n', want: undefined },
  ];
  for (const { text, want } of table) {
    const found = parseMaildirSize(text, 0);
    assert.deepEqual(found, want && { ...want, changedAt: 0 }, text);
  }
});

test('a mailbox that cannot be counted is an error, and holds nothing afterwards', async () => {
  writeFileSync(join(root, '..', 'file'), '');
  const ledger = createQuotaLedger({ format: 'maildir', clock });
  mkdirSync(root);
  mkdirSync(join(root, 'maildirsize'));
  await assert.rejects(ledger.reserve('a', root, 100, 90));
  rmSync(join(root, 'maildirsize'), { recursive: true });
  assert.equal(await ledger.reserve('a', root, 100, 90), true);
});
