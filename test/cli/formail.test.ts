/** formail as a command: programs of -s, FILENO, exit codes, the cache on disk; and as recipes find it. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runCommand } from '../kit/command.ts';

const mail = 'From ann@example.org Sat Nov 21 09:00:00 2026\nMessage-ID: <1@x>\nSubject: hello\n\nbody\n';
const box = [1, 2, 3]
  .map((n) => `From m${n}@x Sat Nov 21 0${n}:00:00 2026\nSubject: ${n}\n\nbody ${n}\n\n`)
  .join('');

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-formail-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test('a program for each mail, numbered by FILENO', async (t) => {
  const cwd = newFolder(t);
  const argv = ['formail', '-s', 'sh', '-c', 'cat >mail.$FILENO'];
  const { code, stderr } = await runCommand(argv, { cwd, input: box, env: { FILENO: '08' } });
  assert.equal(code, 0, stderr);
  assert.deepEqual(readdirSync(cwd).sort(), ['mail.08', 'mail.09', 'mail.10']);
  assert.match(readFileSync(join(cwd, 'mail.10'), 'latin1'), /^From m3@x .*\nSubject: 3\n\nbody 3\n\n$/);
});

for (const { name, argv, code, said } of [
  {
    name: 'the exit code of the first program that fails',
    argv: ['-s', 'sh', '-c', 'cat >/dev/null; exit 3'],
    code: 3,
    said: '',
  },
  {
    name: 'programs beside one another',
    argv: ['-n', '2', '-s', 'sh', '-c', 'cat >/dev/null; exit 4'],
    code: 4,
    said: '',
  },
  {
    name: 'a program that does not exist',
    argv: ['-s', 'nosuchprogram'],
    code: 69,
    said: 'Failed to execute "nosuchprogram"',
  },
  {
    name: 'a program that a signal ends',
    argv: ['-s', 'sh', '-c', 'cat >/dev/null; kill -9 $$'],
    code: 69,
    said: '',
  },
  { name: 'an option that is none', argv: ['-g'], code: 64, said: 'Usage: ' },
  { name: 'a name that is none', argv: ['-A', 'no field'], code: 64, said: 'Invalid field-name: "no field"' },
  { name: 'a cache that cannot be', argv: ['-D', '100', '/proc/nowhere/x'], code: 73, said: "Couldn't open" },
]) {
  test(`exit code: ${name}`, async () => {
    const result = await runCommand(['formail', ...argv], { input: box });
    assert.equal(result.code, code, result.stderr);
    assert.ok(result.stderr.includes(said), result.stderr);
  });
}

test('-D: the second time it is a duplicate, also for procmail', async (t) => {
  const cwd = newFolder(t);
  const ask = async () => (await runCommand(['formail', '-D', '8192', 'cache'], { cwd, input: mail })).code;
  assert.deepEqual([await ask(), await ask()], [1, 0]);
  assert.equal(readFileSync(join(cwd, 'cache'), 'latin1'), '<1@x>\0\0');
});

test('a reader that goes away ends it with EX_IOERR', async () => {
  const { code } = await runCommand(['formail', '-s', 'true'], { input: 'x'.repeat(1_000_000) });
  assert.equal(code, 74);
});

test('a link of that name is formail', async (t) => {
  const { launcher, collect } = await import('../kit/command.ts');
  const { spawn } = await import('node:child_process');
  const cwd = newFolder(t);
  symlinkSync(launcher, join(cwd, 'formail'));
  const { stdout } = await collect(spawn(process.execPath, [join(cwd, 'formail'), '-zxSubject:']), mail);
  assert.equal(stdout, 'hello\n');
});

test('recipes find ours where the machine has none, and their own first', async (t) => {
  const home = newFolder(t);
  const bin = join(home, 'tools');
  mkdirSync(bin);
  for (const name of ['sh', 'cat', 'env']) symlinkSync(`/bin/${name}`, join(bin, name));
  const rcfile = (path: string) =>
    `PATH=${path}\nSHELL=/bin/sh\n:0 fhw\n|formail -A "X-By: us"\n:0 fhw\n* ? formail -zxSubject: | cat\n|formail -I Subject: | cat\n:0\nout\n`;
  const run = async (name: string, path: string) => {
    writeFileSync(join(home, name), rcfile(path), { mode: 0o600 });
    const argv = ['deliver', '-m', `DEFAULT=${home}/default`, `MAILDIR=${home}`, join(home, name)];
    const { code, stderr } = await runCommand(argv, { cwd: home, input: mail, env: { HOME: home } });
    assert.equal(code, 0, stderr);
    return readFileSync(join(home, 'out'), 'latin1');
  };
  assert.match(await run('ours.rc', bin), /^From ann.*\nMessage-ID: <1@x>\nX-By: us\n\nbody\n/);
  rmSync(join(home, 'out'));
  writeFileSync(join(bin, 'formail'), '#!/bin/sh\ncat >/dev/null\necho "X-Other: $1"\necho\n');
  chmodSync(join(bin, 'formail'), 0o755);
  assert.match(await run('theirs.rc', bin), /^X-Other: -I\n\nbody\n/);
});
