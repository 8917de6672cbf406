/** procmail convert, as its users call it. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runCommand } from '../kit/command.ts';

const rcfile = `MAILDIR=$HOME/Mail
DEFAULT=$MAILDIR/inbox

:0
* ^Subject:.*hello
greetings/

:0
* ? test -f $HOME/away
away/

:0
* ^Subject:.*bye
| cat
`;

const mails = [
  'Return-Path: <ann@example.org>\nFrom: ann@example.org\nSubject: hello you\n\nhi\n',
  'From: ann@example.org\nSubject: other\n\nhi\n',
];
/** Encoded, procmail does not see it. RFC 2047. */
const encoded = 'From: ann@example.org\nSubject: =?utf-8?Q?h=65llo?=\n\nhi\n';
const bye = 'From: ann@example.org\nSubject: bye\n\nhi\n';

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-convert-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'rc'), rcfile);
  return folder;
}

function maildir(folder: string, texts: readonly string[]): string {
  for (const part of ['cur', 'new']) mkdirSync(join(folder, 'Maildir', part), { recursive: true });
  for (const [at, text] of texts.entries())
    writeFileSync(join(folder, 'Maildir', at % 2 === 0 ? 'cur' : 'new', `${at}.x`), text);
  return join(folder, 'Maildir');
}

function mbox(folder: string, texts: readonly string[]): string {
  const path = join(folder, 'mbox');
  writeFileSync(
    path,
    texts.map((text) => `From ann@example.org Sat Nov 21 09:00:00 2026\n${text}\n`).join(''),
  );
  return path;
}

test('the script on standard output, the summary beside it', async (t) => {
  const folder = newFolder(t);
  const { code, stdout, stderr } = await runCommand(['procmail', 'convert', join(folder, 'rc')]);
  assert.equal(code, 0);
  assert.match(stdout, /^if header :contains "Subject" "hello" \{$/m);
  assert.match(stdout, /^# .*rc, line 8, kept: it needs a program: test -f \$HOME\/away\n# {3}:0$/m);
  assert.match(stderr, /recipes +converted +kept as comments\n +3 +1 +2\n$/);
});

test('--out writes a script that compiles; --verify without a difference is exit code 0', async (t) => {
  const folder = newFolder(t);
  const out = join(folder, 'out.sieve');
  const args = ['procmail', 'convert', join(folder, 'rc'), '--out', out, '--verify', maildir(folder, mails)];
  const { code, stdout } = await runCommand(args);
  assert.match(stdout, /\n2 messages looked at, 0 would fare otherwise\.\n$/);
  assert.equal(code, 0);
  assert.match(readFileSync(out, 'utf8'), /^require \["fileinto", "mailbox"\];$/m);
  assert.equal((await runCommand(['sieve', 'check', out])).code, 0);
});

for (const [name, put] of Object.entries({ Maildir: maildir, mbox })) {
  test(`--verify lists each difference and is exit code 1 then: ${name}`, async (t) => {
    const folder = newFolder(t);
    const path = put(folder, [...mails, encoded, bye]);
    const { code, stdout } = await runCommand([
      ...['procmail', 'convert', join(folder, 'rc'), '--json', '--verify', path],
    ]);
    assert.equal(code, 1);
    const { recipes, verified } = JSON.parse(stdout);
    assert.deepEqual(
      recipes.map(({ line, converted }: { line: number; converted: boolean }) => [line, converted]),
      [
        [4, true],
        [8, false],
        [12, false],
      ],
    );
    assert.equal(verified.looked, 4);
    const differences = verified.differences as { subject: string; procmail: string[]; sieve: string[] }[];
    const told = differences.map(({ subject, procmail, sieve }) => [subject, procmail, sieve]);
    assert.deepEqual(told.sort(), [
      ['=?utf-8?Q?h=65llo?=', ['keep'], ['fileinto greetings']],
      ['bye', ['run cat'], ['keep']],
    ]);
    assert.deepEqual(
      verified.met.map(({ line, messages }: { line: number; messages: number }) => [line, messages]),
      [[12, 1]],
    );
  });
}

test('what is neither Maildir nor mbox is said so', async (t) => {
  const folder = newFolder(t);
  const { code, stderr } = await runCommand(['procmail', 'convert', join(folder, 'rc'), '--verify', folder]);
  assert.equal(code, 66);
  assert.match(stderr, /is no Maildir/);
});
