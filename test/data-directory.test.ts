/** The data directory: one server at a time, and no link in it leads whoever starts as root to another file. */
import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openDataDirectory, removePidFile, writePidFile } from '../src/data-directory.ts';

const owner = { name: 'somebody', uid: 12_345, gid: 12_345, groups: [] };
const isRoot = process.getuid?.() === 0;

function place(t: TestContext): { root: string; other: string } {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-data-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const other = join(folder, 'other');
  writeFileSync(other, 'not yours\n', { mode: 0o600 });
  return { root: join(folder, 'data'), other };
}

test('a second server is told who holds it, until the first lets go', (t) => {
  const { root } = place(t);
  const first = openDataDirectory(root, undefined);
  writePidFile(root, 'mta');
  assert.throws(() => openDataDirectory(root, undefined), {
    code: 'already-running',
    message: new RegExp(`pid ${process.pid}\\b`),
  });
  first.release();
  openDataDirectory(root, undefined).release();
  removePidFile(root, 'mta');
  assert.ok(!existsSync(join(root, 'run', 'mta.pid')));
});

test('a lock that is a link is not opened, and what it leads to keeps its owner', (t) => {
  const { root, other } = place(t);
  mkdirSync(join(root, 'run'), { recursive: true });
  symlinkSync(other, join(root, 'run', 'lock'));
  assert.throws(() => openDataDirectory(root, isRoot ? owner : undefined), { code: 'ELOOP' });
  assert.equal(statSync(other).uid, process.getuid?.());
  assert.equal(readFileSync(other, 'utf8'), 'not yours\n');
});

test('a maildrop that is a link opens no other folder to everybody', (t) => {
  const { root, other } = place(t);
  const folder = `${other}.folder`;
  mkdirSync(folder, { mode: 0o700 });
  mkdirSync(root);
  symlinkSync(folder, join(root, 'maildrop'));
  assert.throws(() => openDataDirectory(root, isRoot ? owner : undefined), { code: 'ENOTDIR' });
  assert.equal(statSync(folder).mode & 0o7777, 0o700);
});

test('a pid file takes the place of a link and is not written through it', (t) => {
  const { root, other } = place(t);
  openDataDirectory(root, undefined).release();
  const path = join(root, 'run', 'mailfilter.pid');
  symlinkSync(other, path);
  symlinkSync(other, `${path}.${process.pid}.tmp`);
  writePidFile(root, 'mailfilter');
  assert.equal(readFileSync(other, 'utf8'), 'not yours\n');
  assert.ok(lstatSync(path).isFile());
  assert.equal(readFileSync(path, 'utf8'), `${process.pid}\n`);
});

test('started as root, folders and lock belong to the user to become', { skip: !isRoot }, (t) => {
  const { root } = place(t);
  openDataDirectory(root, owner).release();
  for (const path of ['', 'run', 'journal', 'queue', 'run/lock']) {
    assert.equal(statSync(join(root, path)).uid, owner.uid, path);
  }
});
