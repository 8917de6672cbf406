/** Full mailboxes: refused while the client can still hear it, and never overfilled. And what is not permitted changes nothing. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '../kit/server.ts';
import { MailClient, sendOne } from './mail-client.ts';
import { idIn, inboxOf, openServer, traceOf, type WholeServer } from './observe.ts';

const quotaBytes = 50_000;
const small = 'Subject: small\n\nbody\n';

let server: WholeServer;
before(async () => {
  server = await openServer({
    config: { mailbox: { format: 'maildir', path: 'mail/{domain}/{user}', quotaBytes } },
  });
});
after(async () => {
  await server[Symbol.asyncDispose]();
});

const messageOf = (octets: number) => 'Subject: large\n\n'.padEnd(octets, 'line of text\n');

test('a full mailbox is 452 4.2.2 at RCPT, after the data, and for one of several by LMTP', async () => {
  const large = messageOf(30_000);
  const to = ['carol@example.test'];
  const client = await MailClient.open(server.ports.smtp!);
  const first = await client.send({ to, message: large });
  assert.match(first[0]!, /^250 /);
  const declared = await client.send({ to, parameters: ` SIZE=${large.length}`, message: large });
  assert.match(declared[1]!, /^452 4\.2\.2 /);
  const undeclared = await client.send({ to, message: large });
  assert.match(undeclared[0]!, /^452 4\.2\.2 /);
  await client.quit();
  const several = ['carol@example.test', 'bob@example.test'];
  const replies = await sendOne(server.ports.lmtp!, { to: several, message: large }, 'lmtp');
  assert.deepEqual(
    replies.map((reply) => reply.slice(0, 9)),
    ['452 4.2.2', '250 2.1.5'],
  );
  await until('the copy for bob', () => inboxOf(server, 'bob').length === 1);
  assert.equal(inboxOf(server, 'carol').length, 1);
  const fitting = await sendOne(server.ports.smtp!, { to, message: small });
  assert.match(fitting[0]!, /^250 /, 'what fits is taken still');
});

test('many at once do not overfill a mailbox: room is set aside before the answer', async () => {
  const letter = { to: ['alice@example.test'], message: messageOf(10_000) };
  const answers = await Promise.all(Array.from({ length: 30 }, () => sendOne(server.ports.smtp!, letter)));
  const taken = answers.filter(([reply]) => reply!.startsWith('250 ')).length;
  for (const [reply] of answers) assert.match(reply!, /^(?:250 |452 4\.2\.2 )/);
  assert.ok(taken >= 3 && taken <= 5, `${taken} were taken`);
  await until('the copies', () => inboxOf(server, 'alice').length === taken);
  const octets = inboxOf(server, 'alice').reduce((sum, copy) => sum + copy.length, 0);
  assert.ok(octets <= quotaBytes, `${octets} octets in a mailbox of ${quotaBytes}`);
});

test('XCLIENT from an address that is not listed is refused, and changes nothing', async () => {
  const client = await MailClient.open(server.ports.smtp!);
  assert.match(await client.say('XCLIENT ADDR=192.0.2.9'), /^5\d\d 5\./);
  const [reply] = await client.send({ to: ['bob@example.test'], message: small });
  assert.equal((await traceOf(server, idIn(reply))).connection.remoteIp, '127.0.0.1');
  await client.quit();
});
