/** Names are synced once, and again when they were made anew: counted with strace. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { requireProgram } from '../kit/require.ts';

const program = `
  import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
  import { join } from 'node:path';
  import { createDirectorySync } from ${JSON.stringify(join(import.meta.dirname, '../../src/mailbox/directory-sync.ts'))};
  const root = process.argv[1];
  const path = join(root, 'user', 'box');
  const sync = createDirectorySync();
  const make = () => { mkdirSync(join(root, 'user')); writeFileSync(path, 'x'); };
  const round = async (mark) => { writeFileSync(join(root, mark), ''); await sync.syncNamesTo(path); };
  make();
  await round('first');
  await round('again');
  rmSync(path);
  writeFileSync(path, 'y');
  await round('file');
  rmSync(join(root, 'user'), { recursive: true });
  make();
  await round('folder');
  writeFileSync(join(root, 'end'), '');
`;

test('a name is synced once; one that was deleted and made again is synced again', (t) => {
  if (!requireProgram(t, 'strace')) return;
  const root = mkdtempSync(join(tmpdir(), 'names-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const command = [
    '-f',
    '-y',
    '-e',
    'trace=openat,fsync',
    process.execPath,
    '--input-type=module',
    '-e',
    program,
    root,
  ];
  const { status, stderr } = spawnSync('strace', command, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  assert.equal(status, 0, stderr.slice(-2000));
  const synced = (from: string, to: string) => {
    const part = stderr.slice(stderr.indexOf(`"${join(root, from)}"`), stderr.indexOf(`"${join(root, to)}"`));
    return ['user', '.'].filter((name) => syncs(part, join(root, name)));
  };
  assert.deepEqual(synced('first', 'again'), ['user', '.']);
  assert.deepEqual(synced('again', 'file'), []);
  assert.deepEqual(synced('file', 'folder'), ['user']);
  assert.deepEqual(synced('folder', 'end'), ['user', '.']);
});

function syncs(calls: string, directory: string): boolean {
  return calls.split('\n').some((line) => line.includes('fsync(') && line.includes(`<${directory}>`));
}
