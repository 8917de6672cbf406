/** Who a listed proxy speaks for, by XCLIENT or PROXY; and mailboxes that are full. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../kit/server.ts';
import { MailClient, sendOne } from './mail-client.ts';
import { idIn, inboxOf, openServer, traceOf } from './observe.ts';

const message = 'Subject: proxied\n\nbody\n';
const to = ['alice@example.test'];

test('XCLIENT from a listed address puts another client in its place', async () => {
  await using server = await openServer({ config: { xclientFrom: ['127.0.0.1/32'] } });
  const client = await MailClient.open(server.ports.smtp!);
  const greeting = await client.say('XCLIENT ADDR=192.0.2.9 NAME=mail.other.example HELO=helo.other.example');
  assert.match(greeting, /^220 /);
  const [reply] = await client.send({ to, message });
  const { connection } = await traceOf(server, idIn(reply));
  assert.deepEqual([connection.remoteIp, connection.remoteName], ['192.0.2.9', 'mail.other.example']);
  const [copy] = inboxOf(server, 'alice');
  assert.match(
    copy!.toString(),
    /^Received: from helo\.other\.example \(mail\.other\.example \[192\.0\.2\.9\]\)/m,
  );
  await client.quit();
});

test('XCLIENT from others is refused, and changes nothing', async () => {
  await using server = await openServer();
  const client = await MailClient.open(server.ports.smtp!);
  assert.match(await client.say('XCLIENT ADDR=192.0.2.9'), /^5\d\d 5\./);
  const [reply] = await client.send({ to, message });
  assert.equal((await traceOf(server, idIn(reply))).connection.remoteIp, '127.0.0.1');
  await client.quit();
});

test('a PROXY header from a listed address is required and believed, version 1 and 2', async () => {
  await using server = await openServer({ config: { proxyFrom: ['127.0.0.1/32'] } });
  const headers = {
    '192.0.2.10': Buffer.from('PROXY TCP4 192.0.2.10 198.51.100.1 4000 25\r\n'),
    '2001:db8::25': Buffer.concat([
      Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'),
      Buffer.of(0x21, 0x21, 0, 36),
      Buffer.from('20010db8000000000000000000000025', 'hex'),
      Buffer.from('20010db8000000000000000000000001', 'hex'),
      Buffer.of(0x0f, 0xa0, 0, 25),
    ]),
  };
  for (const [ip, header] of Object.entries(headers)) {
    const client = await MailClient.open(server.ports.smtp!, 'smtp', header);
    const [reply] = await client.send({ to, message });
    assert.equal((await traceOf(server, idIn(reply))).connection.remoteIp, ip);
    await client.quit();
  }
  await assert.rejects(
    MailClient.open(server.ports.smtp!, 'smtp', Buffer.from('EHLO x\r\n')),
    /closed|not let in/,
  );
});

test('a full mailbox is 452 4.2.2 at RCPT, after the data, and for one of several by LMTP', async () => {
  await using server = await openServer({
    config: { mailbox: { format: 'maildir', path: 'mail/{domain}/{user}', quotaBytes: 20_000 } },
  });
  const large = `Subject: large\n\n${'x'.repeat(70)}\n`.padEnd(12_000, 'line of text\n');
  const client = await MailClient.open(server.ports.smtp!);
  const first = await client.send({ to, message: large });
  assert.match(first[0]!, /^250 /);
  const declared = await client.send({ to, parameters: ` SIZE=${large.length}`, message: large });
  assert.match(declared[1]!, /^452 4\.2\.2 /);
  const undeclared = await client.send({ to, message: large });
  assert.match(undeclared[0]!, /^452 4\.2\.2 /);
  await client.quit();
  const several = ['alice@example.test', 'bob@example.test'];
  const replies = await sendOne(server.ports.lmtp!, { to: several, message: large }, 'lmtp');
  assert.deepEqual(
    replies.map((reply) => reply.slice(0, 9)),
    ['452 4.2.2', '250 2.1.5'],
  );
  await until('the copy for bob', () => inboxOf(server, 'bob').length === 1);
  assert.equal(inboxOf(server, 'alice').length, 1);
  const small = await sendOne(server.ports.smtp!, { to, message });
  assert.match(small[0]!, /^250 /, 'what fits is taken still');
});

test('many at once do not overfill a mailbox: room is set aside before the answer', async () => {
  await using server = await openServer({
    config: { mailbox: { format: 'maildir', path: 'mail/{domain}/{user}', quotaBytes: 50_000 } },
  });
  const large = 'Subject: large\n\n'.padEnd(10_000, 'line of text\n');
  const answers = await Promise.all(
    Array.from({ length: 30 }, () => sendOne(server.ports.smtp!, { to, message: large })),
  );
  const taken = answers.filter(([reply]) => reply!.startsWith('250 ')).length;
  for (const [reply] of answers) assert.match(reply!, /^(?:250 |452 4\.2\.2 )/);
  assert.ok(taken >= 3 && taken <= 5, `${taken} were taken`);
  await until('the copies', () => inboxOf(server, 'alice').length === taken);
  const octets = inboxOf(server, 'alice').reduce((sum, copy) => sum + copy.length, 0);
  assert.ok(octets <= 50_000, `${octets} octets in a mailbox of 50,000`);
});
