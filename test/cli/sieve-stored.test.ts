/** `sieve trial` and `sieve apply`: scripts on mail that lies in a mailbox, told first, done when asked, and undone. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { scriptPlace } from '../../src/scripts/place.ts';
import { ScriptStore } from '../../src/scripts/script-store.ts';
import { runCommand } from '../kit/command.ts';

const subjects = ['invoice 1', 'lunch', 'invoice 2', 'spam', 'news'];

async function installation(t: TestContext, active?: string) {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-apply-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  write(
    'mailfilter.json',
    JSON.stringify({
      hostname: 'mx.example.test',
      dataDirectory: 'data',
      domains: ['example.test'],
      users: { file: 'users.json' },
    }),
  );
  write('users.json', JSON.stringify({ version: 1, users: { 'ann@example.test': { password: '' } } }));
  const mail = join(folder, 'data/mail/example.test/ann');
  for (const each of ['cur', 'new', 'tmp']) mkdirSync(join(mail, each), { recursive: true });
  for (const [index, subject] of subjects.entries()) {
    const text = `Return-Path: <bob@sender.test>\nFrom: Bob <bob@sender.test>\nTo: ann@example.test\nSubject: ${subject}\n\nbody\n`;
    writeFileSync(join(mail, 'cur', `${1_700_000_000 + index}.M${index}.host:2,S`), text);
  }
  if (active !== undefined) {
    const directory = join(folder, 'data/sieve/example.test/ann');
    const place = scriptPlace({ directory, active: join(directory, '.dovecot.sieve') }, 'ann@example.test');
    const store = new ScriptStore(place, { scriptsMax: 9, storageBytesMax: 99_999 });
    await store.write('main', Buffer.from(active));
    await store.activate('main');
  }
  const run = async (...args: string[]) => {
    const user = args.includes('--user') ? [] : ['--user', 'ann@example.test'];
    const given = ['sieve', ...args, ...user, '-c', join(folder, 'mailfilter.json')];
    return runCommand(given, { cwd: folder });
  };
  /** Subjects and flags by folder. */
  const lying = () =>
    Object.fromEntries(
      ['', '.Bills', '.Trash'].flatMap((name) => {
        const files = ['new', 'cur'].flatMap((part) => listed(join(mail, name, part)));
        const found = files.map((path) => {
          const subject = /^Subject: (.*)$/m.exec(readFileSync(path, 'utf8'))?.[1];
          return `${subject} ${/:2,(.*)$/.exec(path)?.[1] ?? ''}`.trim();
        });
        return found.length === 0 ? [] : [[name || 'INBOX', found.sort()]];
      }),
    );
  return { folder, write, run, lying };
}

function listed(path: string): string[] {
  try {
    return readdirSync(path).map((name) => join(path, name));
  } catch {
    // A folder that is not there has no mail.
    return [];
  }
}

const tidy = `require ["fileinto", "mailbox", "imap4flags"];
if header :contains "subject" "invoice" {
  fileinto :create :flags "\\\\Flagged" "Bills";
} elsif header "subject" "spam" {
  discard;
} elsif header "subject" "news" {
  redirect "me@elsewhere.test";
} elsif header "subject" "lunch" {
  keep :flags "\\\\Answered";
}
`;

const untouched = { INBOX: ['invoice 1 S', 'invoice 2 S', 'lunch S', 'news S', 'spam S'] };

test('apply tells, does, and undoes', async (t) => {
  const { write, run, lying } = await installation(t);
  write('tidy.sieve', tidy);
  const dry = await run('apply', 'tidy.sieve');
  assert.equal(dry.code, 0, dry.stderr);
  assert.match(dry.stdout, /invoice 1 +move to Bills +3/);
  assert.match(dry.stdout, /spam +move to Trash +5/);
  assert.match(dry.stdout, /4 messages would change/);
  assert.deepEqual(lying(), untouched);

  const done = await run('apply', 'tidy.sieve', '--execute', '--undo-file', 'undo.jsonl');
  assert.equal(done.code, 0, done.stderr);
  assert.deepEqual(lying(), {
    INBOX: ['lunch RS', 'news S'],
    '.Bills': ['invoice 1 FS', 'invoice 2 FS'],
    '.Trash': ['spam S'],
  });
  const again = await run('apply', 'tidy.sieve', '--json');
  assert.deepEqual(
    JSON.parse(again.stdout).planned.map(({ subject }: { subject: string }) => subject),
    ['lunch'],
  );

  const undone = await run('apply', 'undo.jsonl', '--undo');
  assert.equal(undone.code, 0, undone.stdout + undone.stderr);
  assert.deepEqual(lying(), untouched);
  const twice = await run('apply', 'undo.jsonl', '--undo');
  assert.equal(twice.code, 1);
  assert.deepEqual(lying(), untouched);
});

test('an undo file is never written over, and nothing is done without one', async (t) => {
  const { write, run, lying } = await installation(t);
  write('tidy.sieve', tidy);
  write('undo.jsonl', 'precious');
  const { code, stderr } = await run('apply', 'tidy.sieve', '--execute', '--undo-file', 'undo.jsonl');
  assert.equal(code, 73);
  assert.match(stderr, /there already/);
  assert.deepEqual(lying(), untouched);
});

test('trial shows only what the active script does otherwise', async (t) => {
  const { write, run, lying } = await installation(
    t,
    'require ["fileinto", "mailbox"]; if header :contains "subject" "invoice" { fileinto :create "Bills"; }',
  );
  write(
    'new.sieve',
    'require ["fileinto", "mailbox"];\nif header "subject" ["invoice 1", "news"] { fileinto :create "Bills"; }\n',
  );
  const { code, stdout, stderr } = await run('trial', 'new.sieve', '--json');
  assert.equal(code, 0, stderr);
  const { looked, differences } = JSON.parse(stdout);
  assert.equal(looked, 5);
  assert.deepEqual(
    differences.map(({ subject, active, trial }: { subject: string; active: string[]; trial: string[] }) => [
      subject,
      active[0]!.replace(/ \(.*/, ''),
      trial[0]!.replace(/ \(.*/, ''),
    ]),
    [
      ['invoice 2', 'fileinto "Bills", created where it is missing', 'implicit keep'],
      ['news', 'implicit keep', 'fileinto "Bills", created where it is missing'],
    ],
  );
  const last = await run('trial', 'new.sieve', '--last', '2');
  assert.match(last.stdout, /2 messages looked at, 1 would have fared otherwise/);
  assert.deepEqual(lying(), untouched);
});

for (const [name, args, code, words] of [
  ['no such user', ['apply', 's.sieve', '--user', 'nobody@example.test'], 67, /no user/],
  ['no such folder', ['apply', 's.sieve', '--mailbox', 'Nowhere'], 66, /There are: INBOX/],
  ['a script that does not compile', ['trial', 'bad.sieve'], 1, /bad\.sieve: line 1/],
  ['an undo file that is none', ['apply', 's.sieve', '--undo'], 65, /undo file/],
] as const) {
  test(`${name} is said so`, async (t) => {
    const { write, run } = await installation(t);
    write('s.sieve', 'keep;');
    write('bad.sieve', 'fileinto;');
    const result = await run(...args);
    assert.equal(result.code, code, result.stderr);
    assert.match(result.stderr, words);
  });
}
