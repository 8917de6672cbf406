/** Mail with a date, a deadline or a priority, from submission to the next server and the report home. RFC 4865, RFC 2852, RFC 6710. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { SmtpClient } from '../../core/net/smtp-client.ts';
import { readQueue } from '../../src/queue/open.ts';
import { runCommand } from '../kit/command.ts';
import { freePort } from '../kit/free-port.ts';
import { serveScript } from '../kit/scripted-smtp.ts';
import { password, startServer, type TestServer, until } from '../kit/server.ts';

let server: TestServer;
let ports: { able: number; plain: number; slow: number };
before(async () => {
  ports = { able: await freePort(), plain: await freePort(), slow: await freePort() };
  const relay = (port: number) => `smtp://127.0.0.1:${port}?tls=none`;
  server = await startServer({
    config: {
      routes: [
        { to: '@example.test', deliver: 'mailbox' },
        { to: '@able.test', from: 'authenticated', relay: relay(ports.able) },
        { to: '@plain.test', from: 'authenticated', relay: relay(ports.plain) },
        { to: '@slow.test', from: 'authenticated', relay: relay(ports.slow) },
        { to: '*', reject: '550 5.7.1 relaying denied' },
      ],
      queue: { retrySeconds: [1] },
    },
  });
});
after(() => server?.stop());

async function submit(to: string, parameters: readonly string[]): Promise<string> {
  const client = await SmtpClient.connect({
    to: { host: '127.0.0.1', port: server.ports.submission! },
    name: 'client.test',
    auth: { user: 'alice@example.test', password },
    plaintextAuth: true,
  });
  const content = Buffer.from(`From: alice@example.test\r\nSubject: to ${to}\r\n\r\nhello\r\n`);
  const { accepted, recipients } = await client.send(
    { sender: 'alice@example.test', recipients: [to], parameters },
    { length: content.length, chunks: [content] },
  );
  assert.equal(accepted, true, JSON.stringify(recipients));
  await client.quit();
  return /queued as (\S+)/.exec(recipients[0]!.text)?.[1] ?? recipients[0]!.text;
}

const mailIn = (user: string, text: string) =>
  server
    .messages(user)
    .map((path) => readFileSync(path, 'utf8'))
    .filter((message) => message.includes(text));

function waiting(address: string) {
  const queue = readQueue(join(server.directory, 'data', 'queue'));
  try {
    return queue
      .list()
      .filter(({ envelope }) => envelope.recipients.some((recipient) => recipient.address === address));
  } finally {
    queue.close();
  }
}

test('deadline and priority go on to a server that offers them, which is told of to the sender', async (t) => {
  const able = '250-me\r\n250-DELIVERBY 60\r\n250-DSN\r\n250 MT-PRIORITY MIXER';
  const next = await serveScript(t, { EHLO: able }, { port: ports.able });
  await submit('x@able.test', ['BY=600;RT', 'MT-PRIORITY=3']);
  await until('the message', () => next.heard.some((line) => line.includes('Subject: to x@able.test')));
  const mail = next.heard.find((line) => line.startsWith('MAIL'))!;
  assert.match(mail, / BY=(5\d\d|600);RT MT-PRIORITY=3$/);
  await until('the trace', () => mailIn('alice', 'Action: relayed').length === 1);
  assert.match(mailIn('alice', 'Action: relayed')[0]!, /^Deliver-By-Date: /m);
});

test('what must go back in time is not given to a server that cannot promise it, anything else is', async (t) => {
  const next = await serveScript(t, {}, { port: ports.plain });
  await submit('back@plain.test', ['BY=600;R']);
  await submit('on@plain.test', ['BY=600;N', 'MT-PRIORITY=-2']);
  await until('the bounce', () => mailIn('alice', 'back@plain.test').length === 1);
  const [bounce = ''] = mailIn('alice', 'back@plain.test');
  assert.match(bounce, /^Status: 5\.3\.3$/m);
  assert.match(bounce, /^Deliver-By-Date: /m);
  await until('the message', () => next.heard.some((line) => line.includes('Subject: to on@plain.test')));
  assert.deepEqual(
    next.heard.filter((line) => /^MAIL/.test(line)).map((line) => line.replace(/ SIZE=\d+/, '')),
    ['MAIL FROM:<alice@example.test>'],
  );
});

test('a deadline that passes: the mail goes back, or its sender hears that it is late', async (t) => {
  await serveScript(t, { EHLO: '250-me\r\n250 DELIVERBY', RCPT: '451 4.2.0 later' }, { port: ports.slow });
  await submit('back@slow.test', ['BY=2;R']);
  await submit('late@slow.test', ['BY=2;N']);
  await until('the bounce', () => mailIn('alice', 'Status: 5.4.7').length === 1);
  assert.match(mailIn('alice', 'Status: 5.4.7')[0]!, /^Final-Recipient: rfc822; back@slow\.test$/m);
  await until('the notice', () => mailIn('alice', 'Action: delayed').length === 1);
  assert.match(mailIn('alice', 'Action: delayed')[0]!, /^Final-Recipient: rfc822; late@slow\.test$/m);
});

test('mail is held until its date, whoever it is for, and then delivered', async () => {
  const askedAt = Date.now();
  await submit('bob@example.test', ['HOLDFOR=1']);
  await until('the message', () => mailIn('bob', 'Subject: to bob@example.test').length === 1);
  assert.ok(Date.now() >= askedAt + 1000);
  await until('an empty queue', () => waiting('bob@example.test').length === 0);
});

test('an operator can let it go before its date', async (t) => {
  const next = await serveScript(t, {}, { port: ports.plain });
  const inAnHour = new Date(Date.now() + 3_600_000).toISOString();
  await submit('soon@plain.test', [`HOLDUNTIL=${inAnHour}`]);
  await until('an entry', () => waiting('soon@plain.test').length === 1);
  const [entry] = waiting('soon@plain.test');
  assert.equal(entry!.work.kind, 'deliver');
  assert.ok(entry!.nextAttemptAt > Date.now() + 3_000_000);
  assert.ok(entry!.expiresAt > entry!.nextAttemptAt);
  const { code, stderr } = await runCommand([
    'queue',
    'retry',
    entry!.transactionId,
    '-c',
    server.configFile,
  ]);
  assert.equal(code, 0, stderr);
  await until('the message', () => next.heard.some((line) => line.includes('Subject: to soon@plain.test')));
});
