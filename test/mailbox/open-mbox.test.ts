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

test('a file that somebody made for himself in a shared spool', {
  skip: !isRoot && 'needs root',
}, async (t) => {
  for (const mode of [0o1777, 0o2775]) {
    const { mbox } = newSpool(t, mode);
    writeFileSync(mbox, '');
    chmodSync(mbox, 0o666);
    chownSync(mbox, nobody, nobody);
    await assert.rejects(lockAndRelease(mbox), {
      code: 'storage-failed',
      temporary: true,
      message: /alice: the file belongs to user id 65534, .*chown/,
    });
  }
});

const welcome: readonly { name: string; mode: number; file: string; link?: boolean; folder?: number }[] = [
  { name: 'that of the user whose name it has, as in /var/mail', mode: 0o2775, file: 'nobody' },
  { name: 'that of its folder’s owner', mode: 0o755, file: 'alice', folder: nobody },
  { name: 'one in a folder where nobody else may write', mode: 0o755, file: 'alice' },
  { name: 'one to which root’s own link leads', mode: 0o1777, file: 'alice', link: true },
];
for (const { name, mode, file, link = false, folder = 0 } of welcome) {
  test(`a file of another user that is taken: ${name}`, { skip: !isRoot && 'needs root' }, async (t) => {
    const { mbox, secret } = newSpool(t, mode);
    const path = join(mbox, '..', file);
    if (link) symlinkSync(secret, path);
    else writeFileSync(path, '');
    chownSync(path, nobody, nobody);
    chownSync(join(mbox, '..'), folder, folder);
    await lockAndRelease(path);
  });
}

test('a pipe for a lock file: it counts as a lock, and nobody waits for who would write into it', async (t) => {
  const { mbox } = newSpool(t, 0o2775);
  execFileSync('mkfifo', [`${mbox}.lock`]);
  await assert.rejects(lockAndRelease(mbox), { code: 'storage-failed', message: 'mbox stays locked' });
});
