/** Users teach the classifier with their mail program: a move to Junk and back, over IMAP, on a whole server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ImapFlow } from 'imapflow';
import { runCommand } from '../kit/command.ts';
import { password, startServer, until } from '../kit/server.ts';
import { sendOne } from './mail-client.ts';

const user = 'alice@example.test';

test('imapflow: moves to Junk and back teach, and take back what was taught; copies too, the trash never', async (t) => {
  const server = await startServer({
    inbound: ['bayes', 'policy', 'sieve'],
    config: {
      listeners: {
        smtp: { protocol: 'smtp', address: '127.0.0.1:0', tls: 'none', pipeline: 'inbound' },
        imap: { protocol: 'imap', address: '127.0.0.1:0', tls: 'none', authWithoutTls: true },
      },
    },
  });
  t.after(() => server.kill());
  const letter = (word: string) => `Subject: ${word}\n\n${word} ${word}s and more\n`;
  for (const word of ['casino', 'lottery', 'jackpot']) {
    assert.match((await sendOne(server.ports.smtp!, { to: [user], message: letter(word) }))[0]!, /^250/);
  }
  await until('the mail', () => server.messages('alice').length === 3);

  const client = new ImapFlow({
    host: '127.0.0.1',
    port: server.ports.imap!,
    secure: false,
    doSTARTTLS: false,
    auth: { user, pass: password },
    logger: false,
  });
  await client.connect();
  t.after(() => client.close());
  for (const folder of ['Junk', 'Trash']) await client.mailboxCreate(folder);
  /** How many are learnt of a kind, by the log; a move is told after its answer. */
  const lessons = (kind: string) =>
    [...server.output().matchAll(new RegExp(`"what":"learnt","facts":{"kind":"${kind}"`, 'g'))].length;
  const move = async (how: 'messageMove' | 'messageCopy', subject: string, from: string, to: string) => {
    const lock = await client.getMailboxLock(from);
    try {
      const found = await client.search({ subject }, { uid: true });
      assert.ok(found && found.length === 1, `${subject} in ${from}: ${found}`);
      await client[how](found, to, { uid: true });
    } finally {
      lock.release();
    }
  };
  const taught = async () => {
    const why = await runCommand(['learn', 'why', '--user', user, '-c', server.configFile], {
      input: letter('casino'),
    });
    return /only (.*) were taught/.exec(why.stderr)?.[1];
  };

  await move('messageMove', 'casino', 'INBOX', 'Junk');
  await until('a lesson', () => lessons('spam') === 1);
  assert.equal(await taught(), '1 spam and 0 ham');
  await move('messageCopy', 'lottery', 'INBOX', 'Junk');
  await until('a second lesson', () => lessons('spam') === 2);
  await move('messageMove', 'casino', 'Junk', 'INBOX');
  await until('the correction', () => lessons('ham') === 1);
  assert.equal(await taught(), '1 spam and 1 ham');
  await move('messageMove', 'lottery', 'Junk', 'Trash');
  await move('messageMove', 'jackpot', 'INBOX', 'Trash');
  // Told in order: when this one has been heard of, those before it have been too.
  await move('messageMove', 'jackpot', 'Trash', 'Junk');
  await until('the last lesson', () => lessons('spam') === 3);
  assert.equal(lessons('ham'), 1);
  assert.equal(await taught(), '2 spam and 1 ham');
});
