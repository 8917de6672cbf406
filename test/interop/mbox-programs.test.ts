/** An mbox that procmail delivers to and bsd-mailx and mutt write anew while we change flags and expunge: no message is lost. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MailboxError } from '../../src/mailbox/mailbox-error.ts';
import { requireProgram } from '../kit/require.ts';
import { TestAccount } from '../mailbox/test-account.ts';

const body = (subject: string) =>
  `body of ${subject}\nFrom here a line that needs a quote\n${'x'.repeat(300)}\n`;
const message = (subject: string) => `From: a@example.test\nSubject: ${subject}\n\n${body(subject)}`;

function run(
  program: string,
  args: readonly string[],
  input: string,
  env: Record<string, string> = {},
): Promise<number | null> {
  const child = spawn(program, args, {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { ...process.env, ...env },
    timeout: programTimeoutMs,
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  return new Promise((resolve) => child.once('close', resolve));
}

/** Far beyond what locks take on a slow machine: a program that is killed while it writes the mbox loses mail itself. */
const programTimeoutMs = 180_000;

/** The campaign goes on for minutes. */
const rounds = process.env.MAILFILTER_CAMPAIGN === '1' ? 20 : 1;

/** procmail waits for mutt with its lock file, and mutt for procmail with its fcntl lock: both take seconds to let go. */
async function onceFree<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (attempt === 10 || !(error instanceof MailboxError) || error.responseCode !== 'INUSE') throw error;
    }
  }
}

test('procmail, bsd-mailx, mutt and we on one mbox at the same time', async (t) => {
  const procmail = requireProgram(t, 'procmail');
  const mailx = requireProgram(t, 'bsd-mailx');
  const mutt = requireProgram(t, 'mutt');
  const script = requireProgram(t, 'script');
  if (!procmail || !mailx || !mutt || !script) return;
  const account = new TestAccount('mbox');
  t.after(() => account.close());
  const rc = join(account.directory, 'procmailrc');
  writeFileSync(rc, `SHELL=/bin/sh\nMAILDIR=${account.directory}\n:0:\n${account.path}\n`);
  chmodSync(rc, 0o600);
  await account.append('INBOX', [
    message('kept first'),
    message('doomed by mailx 0'),
    message('doomed by mutt 0'),
  ]);
  const expected = new Set(['kept first']);
  const delivers = async () => {
    for (let n = 0; n < 25 * rounds; n += 1) {
      const subject = n % 5 === 3 ? `doomed by ${n % 2 ? 'mailx' : 'mutt'} ${n}` : `procmail ${n}`;
      if (!subject.startsWith('doomed')) expected.add(subject);
      // It gives up on a lock after a while, and says so: then its caller has the message still.
      let code = await run(procmail, ['-f', 'a@example.test', '-m', rc], message(subject));
      for (let again = 0; code === 75 && again < 20; again += 1)
        code = await run(procmail, ['-f', 'a@example.test', '-m', rc], message(subject));
      assert.equal(code, 0);
      await sleep(20);
    }
  };
  const reads = async () => {
    for (let n = 0; n < 6 * rounds; n += 1) {
      // It deletes by subject, and writes the file anew at its end. Only of the system mailbox it takes the lock.
      await run(mailx, ['-n'], 'd /mailx\nq\n', { HOME: account.directory, MAIL: account.path });
      await sleep(60);
      const keys = 'push "<delete-pattern>~s mutt<enter><sync-mailbox><exit>"';
      const settings = `set quit=yes delete=yes folder=${account.directory} wait_key=no`;
      const command = `${mutt} -n -F /dev/null -f ${account.path} -e '${settings}' -e '${keys}'`;
      await run(script, ['-qec', command, '/dev/null'], '', { HOME: account.directory, TERM: 'vt100' });
      await sleep(60);
    }
  };
  const ours = async () => {
    for (let n = 0; n < 25 * rounds; n += 1) {
      await onceFree(() =>
        account.append('INBOX', [message(`ours ${n}`), message(`ours gone ${n}`)], ['own']),
      );
      expected.add(`ours ${n}`);
      const seen = await onceFree(() => account.look('INBOX'));
      const gone = seen.filter(({ text }) => text.includes('Subject: ours gone'));
      await account.with('INBOX', async (held) => {
        const some = seen.filter(({ uid }) => uid % 3 === n % 3).map(({ uid }) => uid);
        const change = { how: 'add', flags: ['\\Flagged', `tag${n % 4}`] } as const;
        await onceFree(() => account.engine.store(held, some, change, undefined));
        const uids = gone.map(({ uid }) => uid);
        await onceFree(() => account.engine.expunge(held, uids, true));
      });
      await sleep(10);
    }
  };
  await Promise.all([delivers(), reads(), ours()]);
  const seen = await account.look('INBOX');
  const subjects = seen.map(({ text }) => /^Subject: (.*)$/m.exec(text)![1]!);
  for (const reader of ['mailx', 'mutt'])
    assert.ok(!subjects.includes(`doomed by ${reader} 0`), `${reader} wrote the mbox anew`);
  const kept = subjects.filter((subject) => !subject.startsWith('doomed'));
  assert.deepEqual(new Set(kept), expected);
  assert.equal(kept.length, expected.size, `each once, in ${readFileSync(account.path).length} octets`);
  for (const { text, uid } of seen) {
    const subject = /^Subject: (.*)$/m.exec(text)![1]!;
    const read = text.slice(text.indexOf('\n\n') + 2);
    assert.equal(read.trimEnd(), body(subject).trimEnd(), `body of ${uid}`);
  }
});
