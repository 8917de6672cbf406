/** maildrop's command line as MTAs call it: delivery for a user, embedded filters, whose filters are believed; check and run. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type CommandResult, runCommand } from '../kit/command.ts';

const mail = 'Return-Path: <ann@example.org>\nSubject: hello\n\nbody\n';

function newHome(t: TestContext, filter?: string): string {
  const home = mkdtempSync(join(tmpdir(), 'mailfilter-maildrop-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  if (filter !== undefined) writeFileSync(join(home, '.mailfilter'), filter, { mode: 0o600 });
  return home;
}

function maildrop(home: string, args: readonly string[] = [], input = mail): Promise<CommandResult> {
  const env = { HOME: home, MAIL: join(home, 'inbox'), SECRET: 'x' };
  return runCommand(['maildrop', ...args], { cwd: home, input, env });
}

const textOf = (home: string, name: string) => readFileSync(join(home, name), 'latin1');

test('~/.mailfilter is run in the home directory, without the environment', async (t) => {
  const home = newHome(t, 'echo "[$SECRET] $MAILFILTER $1"\nimport SECRET\necho "$SECRET"\nto "box"\n');
  const { code, stdout, stderr } = await maildrop(home, ['-d', userInfo().username, 'arg']);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, '[] .mailfilter arg\nx\n');
  assert.match(
    textOf(home, 'box'),
    /^From \S+ \w{3} \w{3} [ \d]\d [\d:]{8} \d{4}\nReturn-Path: <ann@example.org>\n/,
  );
});

test('without a filter mail goes where it goes without rules', async (t) => {
  const home = newHome(t);
  assert.equal((await maildrop(home)).code, 0);
  assert.match(textOf(home, 'inbox'), /^Subject: hello$/m);
});

for (const { name, prepare } of [
  {
    name: 'a filter that others may read',
    prepare: (home: string) => chmodSync(join(home, '.mailfilter'), 0o644),
  },
  { name: 'a home that others may write', prepare: (home: string) => chmodSync(home, 0o777) },
  { name: 'a home with the sticky bit', prepare: (home: string) => chmodSync(home, 0o1700) },
  {
    name: 'a filter with an error',
    prepare: (home: string) => writeFileSync(join(home, '.mailfilter'), 'if (\n'),
  },
  {
    name: 'a mailbox that cannot be',
    prepare: (home: string) => writeFileSync(join(home, '.mailfilter'), 'to "/proc/nowhere/x"\n'),
  },
  {
    name: 'a full disk',
    prepare: (home: string) => writeFileSync(join(home, '.mailfilter'), 'to "/dev/full"\n'),
  },
]) {
  test(`the mail waits: ${name}`, async (t) => {
    const home = newHome(t, 'to "box"\n');
    prepare(home);
    const { code, stderr } = await maildrop(home);
    assert.equal(code, 75, stderr);
    assert.match(stderr, /^maildrop: /m);
    assert.equal(existsSync(join(home, 'box')), false);
  });
}

test('a user that does not exist: EX_NOUSER; an option that is none: EX_TEMPFAIL', async (t) => {
  const home = newHome(t);
  assert.equal((await maildrop(home, ['-d', 'nosuchuser-here'])).code, 67);
  assert.equal((await maildrop(home, ['-Q'])).code, 75);
});

test('no message at all waits', async (t) => {
  assert.equal((await maildrop(newHome(t), [], '')).code, 75);
});

test('-M: the filter of that name, its default, the default of all', async (t) => {
  const home = newHome(t);
  mkdirSync(join(home, '.mailfilters'), { mode: 0o700 });
  for (const name of ['smtp', 'rcpt-default', 'default']) {
    writeFileSync(join(home, '.mailfilters', name), `echo "${name} $MAILFILTER"\nEXITCODE=9\n`, {
      mode: 0o600,
    });
  }
  for (const [asked, found] of [
    ['smtp', 'smtp'],
    ['rcpt-lists-x', 'rcpt-default'],
    ['other', 'default'],
  ]) {
    const { code, stdout, stderr } = await maildrop(home, ['-M', asked!]);
    assert.deepEqual({ code, stdout }, { code: 9, stdout: `${found} ${asked}\n` }, stderr);
  }
});

test('-v tells of itself and reads nothing', async (t) => {
  const { code, stdout } = await maildrop(newHome(t), ['-v'], '');
  assert.equal(code, 0);
  assert.match(stdout, /maildrop 2/);
});

test('check: problems with their lines, and what needs programs', async (t) => {
  const home = newHome(t);
  writeFileSync(join(home, 'good'), 'xfilter "reformail -c"\nif (/^Subject: (.*)/)\n{\n  to "!a@b"\n}\n');
  writeFileSync(join(home, 'bad'), 'A=1\n/(/\n');
  writeFileSync(join(home, 'worse'), 'A=1\nif (A\n');
  const { code, stdout } = await maildrop(home, ['check', 'good', 'bad', 'worse']);
  assert.equal(code, 1);
  assert.match(
    stdout,
    /^good:1: needs a program: xfilter reformail -c\ngood:4: needs a program: to !a@b\ngood: ok, 2 need a program$/m,
  );
  assert.match(stdout, /^bad:2: the pattern \/\(\/: /m);
  assert.match(stdout, /^worse:2: Missing \)$/m);
});

test('run: what would be done, and nothing is', async (t) => {
  const home = newHome(t);
  writeFileSync(
    join(home, 'filter'),
    'cc "copy"\nxfilter "tr a-z A-Z"\nif (/^Subject: hello/)\n{\n  to "|cat"\n}\n',
  );
  const { code, stdout } = await maildrop(home, ['run', 'filter']);
  assert.equal(code, 0);
  assert.equal(
    stdout,
    '=> store copy (line 1)\n=> filter tr a-z A-Z (line 2)\n=> program cat (line 5)\ndelivered, exit code 0\n',
  );
  assert.equal(existsSync(join(home, 'copy')), false);
});
