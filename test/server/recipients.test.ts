/** Each recipient has its own fate: by verdict, edit, quota and address, over SMTP with one answer and over LMTP with many. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { QueueEntry } from '../../src/queue/queue.ts';
import { runCommand } from '../kit/command.ts';
import { messagesIn, password, until } from '../kit/server.ts';
import { MailClient, sendOne } from './mail-client.ts';
import { idIn, openServer, queueOf, type WholeServer } from './observe.ts';

const byRecipient = fileURLToPath(new URL('plugins/by-recipient.ts', import.meta.url));

let server: WholeServer;
before(async () => {
  const aliases = {
    plugin: 'aliases',
    options: { table: { team: ['alice', 'bob'], far: 'x@elsewhere.example' } },
  };
  server = await openServer({
    config: {
      pipelines: { inbound: [aliases, byRecipient], outbound: [byRecipient, 'strip-origin'] },
      queue: { retrySeconds: [1] },
    },
  });
});
after(async () => {
  await server[Symbol.asyncDispose]();
});

let serial = 0;

/** A message that is found again by its subject. */
function newMessage(): { subject: string; message: string } {
  serial += 1;
  const subject = `number ${serial} of the recipients`;
  return { subject, message: `From: sender@client.example\nSubject: ${subject}\n\nbody\n` };
}

/** Copies of a message in a user's INBOX, or in another folder. */
function copies(user: string, subject: string, folder?: string): string[] {
  const maildir = server.mailbox(user);
  return messagesIn(folder === undefined ? maildir : join(maildir, `.${folder}`))
    .map((path) => readFileSync(path, 'latin1'))
    .filter((text) => text.includes(subject));
}

function at(...names: string[]): string[] {
  return names.map((name) => `${name}@example.test`);
}

test('SMTP: an edit for one recipient is in that copy alone', async () => {
  const { subject, message } = newMessage();
  const [reply] = await sendOne(server.ports.smtp!, { to: at('alice+edit', 'bob'), message });
  assert.match(reply!, /^250 /);
  const [edited, plain] = [copies('alice', subject), copies('bob', subject)];
  assert.equal(edited.length, 1);
  assert.match(edited[0]!, /^X-Edited: for one alone$/m);
  assert.match(edited[0]!, /^Delivered-To: alice\+edit@example\.test$/m);
  assert.equal(plain.length, 1);
  assert.doesNotMatch(plain[0]!, /X-Edited/);
});

test('SMTP: the refusal of all recipients is the answer', async () => {
  const { subject, message } = newMessage();
  const [reply] = await sendOne(server.ports.smtp!, { to: at('alice+reject', 'bob+reject'), message });
  assert.equal(reply, '550 5.7.1 refused by rule');
  assert.deepEqual([copies('alice', subject), copies('bob', subject)], [[], []]);
});

test('SMTP: one of two refused, by a stranger: 250, and that copy goes to Junk', async () => {
  const { subject, message } = newMessage();
  const [reply] = await sendOne(server.ports.smtp!, { to: at('alice+reject', 'bob'), message });
  assert.match(reply!, /^250 /);
  assert.deepEqual([copies('alice', subject).length, copies('bob', subject).length], [0, 1]);
  assert.equal(copies('alice', subject, 'Junk').length, 1);
  assert.deepEqual(
    queueOf(server).filter(({ transactionId }) => transactionId === idIn(reply)),
    [],
  );
});

test('SMTP: a tempfail of the message hook for one speaks for all', async () => {
  const { subject, message } = newMessage();
  const [reply] = await sendOne(server.ports.smtp!, { to: at('alice+tempfail', 'bob'), message });
  assert.equal(reply, '451 4.7.1 not now by rule');
  assert.deepEqual([copies('alice', subject), copies('bob', subject)], [[], []]);
});

test('SMTP: discard for one, delivery for the other', async () => {
  const { subject, message } = newMessage();
  const [reply] = await sendOne(server.ports.smtp!, { to: at('alice+discard', 'bob'), message });
  assert.match(reply!, /^250 /);
  assert.deepEqual([copies('alice', subject).length, copies('bob', subject).length], [0, 1]);
});

test('SMTP: quarantine for one shows in mailfilter queue list', async () => {
  const { subject, message } = newMessage();
  const [reply] = await sendOne(server.ports.smtp!, { to: at('alice+quarantine', 'bob'), message });
  const id = idIn(reply);
  assert.deepEqual([copies('alice', subject).length, copies('bob', subject).length], [0, 1]);
  await until('the held entry', () => queueOf(server).some(({ transactionId }) => transactionId === id));
  const { stdout } = await runCommand(['queue', 'list', '--json', '-c', server.configFile]);
  const held = (JSON.parse(stdout) as QueueEntry[]).filter(({ transactionId }) => transactionId === id);
  assert.deepEqual(
    held.map(({ status, work }) => [
      status,
      work.kind === 'held' && work.reason,
      work.kind === 'held' && work.recipients.map(({ address }) => address),
    ]),
    [['held', 'to be looked at', at('alice+quarantine')]],
  );
});

test('SMTP: a tempfail of the deliver hook for one waits in our queue and is tried again', async () => {
  const { subject, message } = newMessage();
  const [reply] = await sendOne(server.ports.smtp!, { to: at('alice+later', 'bob'), message });
  assert.match(reply!, /^250 /);
  assert.deepEqual([copies('alice', subject).length, copies('bob', subject).length], [0, 1]);
  await until('the third attempt', () => copies('alice', subject).length > 0, 15_000);
  await until('an empty queue', () => !queueOf(server).some((entry) => entry.transactionId === idIn(reply)));
  assert.deepEqual([copies('alice', subject).length, copies('bob', subject).length], [1, 1]);
});

test('SMTP: where all of it would wait, the client keeps it', async () => {
  const { subject, message } = newMessage();
  const [reply] = await sendOne(server.ports.smtp!, { to: at('alice+later'), message });
  assert.match(reply!, /^451 4\.7\.1 not before the third time/);
  assert.deepEqual(copies('alice', subject), []);
});

test('LMTP: one answer for each recipient, and each is kept', async () => {
  const { subject, message } = newMessage();
  const to = at('alice+reject', 'bob+edit', 'carol+later', 'alice+discard', 'carol+quarantine', 'alice');
  const replies = await sendOne(server.ports.lmtp!, { to, message }, 'lmtp');
  assert.deepEqual(
    replies.map((reply) => reply.slice(0, 9)),
    ['550 5.7.1', '250 2.1.5', '451 4.7.1', '250 2.1.5', '250 2.1.5', '250 2.1.5'],
  );
  assert.deepEqual(
    ['alice', 'bob', 'carol'].map((user) => copies(user, subject).length),
    [1, 1, 0],
  );
  assert.match(copies('bob', subject)[0]!, /^X-Edited:/m);
  const id = idIn(replies[1]);
  await until('the held entry', () => queueOf(server).some(({ transactionId }) => transactionId === id));
  const kinds = queueOf(server).filter(({ transactionId }) => transactionId === id);
  assert.deepEqual(
    kinds.map(({ work }) => work.kind),
    ['held'],
  );
});

test('LMTP: an unknown user is refused at RCPT, and a message for nobody is none', async () => {
  const client = await MailClient.open(server.ports.lmtp!, 'lmtp');
  const replies = await client.envelope({ to: at('nobody') });
  assert.match(replies[1]!, /^550 5\.1\.1 /);
  assert.match(await client.say('DATA'), /^(?:503|554) 5\.5\.1 /);
  await client.quit();
});

test('an authenticated sender hears of a refused recipient by a DSN in the own mailbox', async () => {
  const { subject } = newMessage();
  const client = await MailClient.open(server.ports.submission!);
  assert.match(await client.login('alice@example.test', password), /^235 2\.7\.0 /);
  const message = `From: alice@example.test\nTo: bob@example.test\nSubject: ${subject}\n\nbody\n`;
  const [reply] = await client.send({ from: 'alice@example.test', to: at('bob+reject', 'carol'), message });
  assert.match(reply!, /^250 /);
  const isReport = (text: string) => /^Content-Type: multipart\/report;/m.test(text);
  await until('the DSN', () => copies('alice', subject).some(isReport));
  const report = copies('alice', subject).find(isReport)!;
  assert.match(report, /^Return-Path: <>$/m);
  assert.match(report, /^Final-Recipient: rfc822; ?bob\+reject@example\.test$/m);
  assert.match(report, /^Status: 5\.7\.1$/m);
  assert.deepEqual([copies('bob', subject).length, copies('carol', subject).length], [0, 1]);
  assert.equal(copies('bob', subject, 'Junk').length, 0);
  await client.quit();
});

test('aliases of users, of the table and subaddresses lead to mailboxes', async () => {
  const { subject, message } = newMessage();
  const to = ['team@example.test', 'postmaster', 'Carol+Lists@EXAMPLE.test'];
  const [reply] = await sendOne(server.ports.smtp!, { to, message });
  assert.match(reply!, /^250 /);
  assert.deepEqual(
    ['alice', 'bob', 'carol'].map((user) => copies(user, subject).length),
    [1, 1, 1],
  );
});

test('strangers cannot relay, not even through an alias that nobody configured', async () => {
  const client = await MailClient.open(server.ports.smtp!);
  const to = [
    'x@elsewhere.example',
    'bob%elsewhere.example@example.test',
    '@example.test:x@elsewhere.example',
  ];
  const [, ...answers] = await client.envelope({ to });
  assert.match(answers[0]!, /^550 5\.7\.1 relaying denied/);
  assert.match(answers[1]!, /^550 5\.1\.1 /);
  assert.match(answers[2]!, /^550 5\.7\.1 relaying denied/);
  assert.match(await client.say('DATA'), /^(?:503|554) /);
  await client.quit();
});
