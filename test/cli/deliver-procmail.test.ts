/** deliver as procmail: its command line, ~/.procmailrc, and where mail goes when all goes wrong. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type CommandResult, launcher, runCommand } from '../kit/command.ts';
import { requirePeer } from '../kit/require.ts';
import { messagesIn, until } from '../kit/server.ts';

const mail = 'From ann@example.org Sat Nov 21 09:00:00 2026\nSubject: hello\n\nbody\nFrom here\n';

function newHome(t: TestContext, rcfile?: string): string {
  const home = mkdtempSync(join(tmpdir(), 'mailfilter-rcfile-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  if (rcfile !== undefined) writeFileSync(join(home, '.procmailrc'), rcfile, { mode: 0o600 });
  return home;
}

function deliver(home: string, args: readonly string[] = [], input = mail): Promise<CommandResult> {
  return runCommand(['deliver', ...args], { cwd: home, input, env: { HOME: home, MAIL: `${home}/mbox` } });
}

const textOf = (home: string, name: string) => readFileSync(join(home, name), 'latin1');

test('~/.procmailrc is run without being asked for', async (t) => {
  const home = newHome(t, ':0\n* ^Subject: hello\ngreetings\n');
  assert.deepEqual(await deliver(home), { code: 0, stdout: '', stderr: '' });
  assert.equal(textOf(home, 'greetings'), mail.replace('\nFrom here', '\n>From here').concat('\n'));
});

test('what no recipe takes goes where mail goes without rules, with a From_ line', async (t) => {
  const home = newHome(t, ':0\n* ^Subject: nothing\nelsewhere\n');
  const { code } = await deliver(home, ['-f', 'bob@example.org'], 'Subject: hello\n\nbody\n');
  assert.equal(code, 0);
  assert.match(
    textOf(home, 'mbox'),
    /^From bob@example\.org {2}\w{3} \w{3} [ \d]\d [\d:]{8} \d{4}\nSubject: hello\n\nbody\n\n$/,
  );
});

test('-a is $1, the null sender is MAILER-DAEMON', async (t) => {
  const home = newHome(t, ':0\n$1/\n');
  const { code, stderr } = await deliver(home, ['-a', 'lists', '-f', ''], 'Subject: x\n\n');
  assert.equal(code, 0, stderr);
  assert.equal(messagesIn(join(home, 'lists')).length, 1);
});

test('-m: an rcfile, its arguments, variables before it', async (t) => {
  const home = newHome(t);
  writeFileSync(join(home, 'rc'), ':0\n$WHERE-$1-$2\n');
  const { code, stderr } = await deliver(home, ['-m', 'WHERE=out', 'rc', 'one', 'two']);
  assert.equal(code, 0, stderr);
  assert.match(textOf(home, 'out-one-two'), /^Subject: hello$/m);
});

test('-m without a recipe that takes it: EX_CANTCREAT, with -t EX_TEMPFAIL', async (t) => {
  const home = newHome(t);
  writeFileSync(join(home, 'rc'), ':0\n* ^Subject: nothing\nx\n');
  assert.equal((await deliver(home, ['-m', 'rc'])).code, 73);
  assert.equal((await deliver(home, ['-t', '-m', 'rc'])).code, 75);
});

test('DEFAULT=| is standard output', async (t) => {
  const home = newHome(t, 'DEFAULT=|\n');
  assert.deepEqual(await deliver(home), { code: 0, stdout: `${mail}\n`, stderr: '' });
});

test('-v tells of itself and reads nothing', async (t) => {
  const { code, stdout } = await deliver(newHome(t), ['-v'], '');
  assert.equal(code, 0);
  assert.match(stdout, /procmail v3\.22/);
});

for (const { name, args, said } of [
  { name: 'no rcfile after -m', args: ['-m'], said: /-m needs an rcfile/ },
  { name: '-z', args: ['-z'], said: /unknown option -z/ },
  { name: '-d beside -m', args: ['-m', '-d', 'root'], said: /-d goes with neither/ },
]) {
  test(`usage: ${name}`, async (t) => {
    const { code, stderr } = await deliver(newHome(t), args);
    assert.equal(code, 64);
    assert.match(stderr, said);
  });
}

test('EXITCODE is what the MTA hears', async (t) => {
  const home = newHome(t, 'EXITCODE=77\n:0\n/dev/null\n');
  assert.equal((await deliver(home)).code, 77);
});

test('a full disk: ORGMAIL, and where that is full too EX_TEMPFAIL', async (t) => {
  const home = newHome(t, 'DEFAULT=/dev/full\n:0\n/dev/full\n');
  assert.equal((await deliver(home)).code, 0);
  assert.equal(textOf(home, 'mbox').split('\nSubject: hello\n').length, 2);
  writeFileSync(join(home, '.procmailrc'), 'DEFAULT=/dev/full\nORGMAIL=/dev/full\n');
  const { code, stderr } = await deliver(home);
  assert.equal(code, 75);
  assert.match(stderr, /Error while writing to "\/dev\/full"/);
});

test('a program that is killed, a lock that cannot be: the mail is kept', async (t) => {
  const home = newHome(t, ':0 w\n|kill -9 $$; true\n:0:/nowhere/x.lock\nelsewhere\n');
  assert.equal((await deliver(home)).code, 0);
  assert.ok(!existsSync(join(home, 'elsewhere')));
  assert.match(textOf(home, 'mbox'), /^Subject: hello$/m);
});

test('a program that takes too long is ended, and the mail is kept', async (t) => {
  const home = newHome(t, 'TIMEOUT=1\n:0 w\n|sleep 60\n');
  assert.equal((await deliver(home)).code, 0);
  assert.match(textOf(home, 'mbox'), /^Subject: hello$/m);
});

test('SIGTERM between two steps: EX_TEMPFAIL, and the lock is given back', async (t) => {
  const home = newHome(t, 'LOCKFILE=global.lock\n:0 w\n|touch started; exec sleep 60\n');
  const child = spawn(process.execPath, [launcher, 'deliver'], {
    env: { ...process.env, HOME: home, MAIL: `${home}/mbox` },
    cwd: home,
  });
  child.stdin.end(mail);
  await until('the program', () => existsSync(join(home, 'started')));
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [75, null]);
  assert.ok(!existsSync(join(home, 'global.lock')));
});

test('an rcfile that others may write is not believed', async (t) => {
  const home = newHome(t, ':0\n/dev/null\n');
  chmodSync(join(home, '.procmailrc'), 0o666);
  const { code, stderr } = await deliver(home);
  assert.equal(code, 0);
  assert.match(stderr, /Suspicious rcfile/);
  assert.match(textOf(home, 'mbox'), /^Subject: hello$/m);
});

test('an rcfile that includes itself, one of 1 MB in a line, one of NULs, one of quotes: the mail is kept', async (t) => {
  const home = newHome(t);
  for (const rcfile of [
    'INCLUDERC=$HOME/.procmailrc\n',
    `A=${'x'.repeat(1 << 20)}\n`,
    '\0'.repeat(1000),
    '`'.repeat(1001),
  ]) {
    writeFileSync(join(home, '.procmailrc'), rcfile, { mode: 0o600 });
    rmSync(join(home, 'mbox'), { force: true });
    assert.equal((await deliver(home)).code, 0);
    assert.match(textOf(home, 'mbox'), /^Subject: hello$/m);
  }
});

test('behind a pipeline: what it leaves to the inbox meets the rcfile, edits and all', async (t) => {
  const home = newHome(t, ':0\n* ^X-Seen: yes\nseen\n');
  const config = join(home, 'mda.json');
  writeFileSync(
    config,
    JSON.stringify({
      hostname: 'mx.example.test',
      dataDirectory: 'data',
      mailbox: { format: 'mbox', path: '{home}/mbox' },
      pipelines: { inbound: [{ plugin: './mark.ts' }] },
    }),
  );
  writeFileSync(
    join(home, 'mark.ts'),
    `import { addHeader, definePlugin } from 'mailfilter/plugin';
export default definePlugin({ name: 'mark', hooks: { message: () => ({ edits: [addHeader('X-Seen', 'yes')] }) } });
`,
  );
  const { code, stderr } = await deliver(home, ['-c', config]);
  assert.equal(code, 0, stderr);
  assert.match(textOf(home, 'seen'), /^X-Seen: yes$/m);
});

test('root delivers to several users, each in a process that is his', async (t) => {
  if (!requirePeer(t, 'root, to become others', process.getuid?.() === 0)) return;
  const { code, stderr } = await deliver(newHome(t), ['-t', '-d', 'nobody-of-this-name', 'nobody-else']);
  assert.equal(code, 67);
  assert.equal(stderr.match(/no user/g)?.length, 2);
});
