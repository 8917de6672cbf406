/** Mailboxes in a spool that others may write to: nothing that somebody put there leads mail into another file. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { lockMbox } from '../../src/mailbox/mbox-lock.ts';

const nobody = 65_534;
const isRoot = process.geteuid?.() === 0;

function newSpool(t: TestContext, mode: number): { mbox: string; secret: string } {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-spool-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const spool = join(folder, 'spool');
  mkdirSync(spool);
  chmodSync(spool, mode);
  const secret = join(folder, 'authorized_keys');
  writeFileSync(secret, 'mine\n');
  return { mbox: join(spool, 'alice'), secret };
}

async function lockAndRelease(path: string): Promise<void> {
  (await lockMbox(path, 0)).release();
}

const refused = /^mail is not stored in .*\/alice: /;

test('a second name of another file', async (t) => {
  const { mbox, secret } = newSpool(t, 0o2775);
  linkSync(secret, mbox);
  await assert.rejects(lockAndRelease(mbox), { code: 'storage-failed', message: refused });
  assert.equal(readFileSync(secret, 'utf8'), 'mine\n');
});

test('the same where nobody else may write is the owner’s own doing', async (t) => {
  const { mbox, secret } = newSpool(t, 0o755);
  linkSync(secret, mbox);
  await lockAndRelease(mbox);
});

test('a link of the owner leads on', async (t) => {
  const { mbox, secret } = newSpool(t, 0o2775);
  symlinkSync(secret, mbox);
  await lockAndRelease(mbox);
});

// Only root can make a link that belongs to somebody else.
test('a link of somebody else, to a file and to none', { skip: !isRoot && 'needs root' }, async (t) => {
  for (const there of [true, false]) {
    const { mbox, secret } = newSpool(t, 0o2775);
    if (!there) rmSync(secret);
    symlinkSync(secret, mbox);
    lchownSync(mbox, nobody, nobody);
    await assert.rejects(lockAndRelease(mbox), { code: 'storage-failed', message: refused });
    assert.equal(existsSync(secret), there);
  }
});

test('a folder of somebody else counts as shared', { skip: !isRoot && 'needs root' }, async (t) => {
  const { mbox, secret } = newSpool(t, 0o755);
  chownSync(join(mbox, '..'), nobody, nobody);
  linkSync(secret, mbox);
  await assert.rejects(lockAndRelease(mbox), { code: 'storage-failed', message: refused });
});

test('a pipe for a lock file: it counts as a lock, and nobody waits for who would write into it', async (t) => {
  const { mbox } = newSpool(t, 0o2775);
  execFileSync('mkfifo', [`${mbox}.lock`]);
  await assert.rejects(lockAndRelease(mbox), { code: 'storage-failed', message: 'mbox stays locked' });
});
