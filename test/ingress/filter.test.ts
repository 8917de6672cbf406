/** The filter doors in front of a real SMTP or LMTP door: nothing is acknowledged before the next server has it. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Reply } from '../../core/mail/reply.ts';
import { type SendOutcome, SmtpClient } from '../../core/net/smtp-client.ts';
import { formatReply } from '../../core/net/smtp-reply.ts';
import { createOpenSession } from '../../src/flow/open-session.ts';
import { createFilterDoor } from '../../src/ingress/filter.ts';
import { openDoor, type TestDoor } from '../kit/door.ts';
import type { FakeAnswers } from '../kit/fake-flow.ts';
import { FakeHouse } from '../kit/fake-house.ts';
import type { ScriptedHooks } from '../kit/scripted-pipelines.ts';

interface FilterInit {
  readonly door?: 'content-filter' | 'proxy-filter';
  readonly lmtp?: boolean;
  readonly hooks?: ScriptedHooks;
  readonly next?: FakeAnswers;
}

interface Filter {
  readonly port: number;
  readonly next: TestDoor;
  readonly house: FakeHouse;
  readonly protocol: 'smtp' | 'lmtp';
}

async function openFilter(t: TestContext, init: FilterInit = {}): Promise<Filter> {
  const protocol = init.lmtp ? 'lmtp' : 'smtp';
  const next = await openDoor(t, {
    listener: { protocol },
    config: { xclientFrom: ['127.0.0.1'] },
    answers: init.next,
  });
  const house = new FakeHouse(t, { hooks: init.hooks });
  const address = { kind: 'tcp', host: '127.0.0.1', port: next.port } as const;
  const listener = {
    ...next.config.listeners[0]!,
    protocol: init.door ?? 'content-filter',
    next: { address, protocol, text: `127.0.0.1:${next.port}` },
  } as const;
  const door = await createFilterDoor({
    listener,
    config: { ...next.config, hostname: 'filter.example.test', listeners: [listener] },
    log: next.log,
    connections: next.connections,
    openSession: createOpenSession(() => house.house, Promise.resolve()),
  });
  t.after(() => door.close(0));
  return { port: door.address.kind === 'tcp' ? door.address.port : 0, next, house, protocol };
}

const ann = 'ann@one.test';
const ben = 'ben@two.test';
const mail = Buffer.from('Subject: hello\r\nX-Old: 1\r\n\r\n.dot\r\nbody\r\n');

async function client({ port, protocol }: Filter): Promise<SmtpClient> {
  return SmtpClient.connect({ to: { host: '127.0.0.1', port }, name: 'mta.example.test', protocol });
}

async function pass(filter: Filter, recipients = [ann, ben], message = mail): Promise<SendOutcome> {
  const smtp = await client(filter);
  try {
    const envelope = { sender: 'sue@sender.test', recipients, body: '8bitmime' } as const;
    return await smtp.send(envelope, { length: message.length, chunks: [message] });
  } finally {
    await smtp.quit();
  }
}

const said = ({ recipients }: SendOutcome) => recipients.map(formatReply);
const text = (bytes: Buffer) => bytes.toString('latin1').replace(/^Received: [\s\S]*?\r\n(?!\s)/, '');

const no = { code: 550, enhanced: '5.1.1', text: 'not here' } as const;
const busy: Reply = { code: 450, enhanced: '4.2.1', text: 'busy' };
const refuseBen = { rcptTo: ({ address }: { address: string }) => (address === ben ? no : undefined) };

test('the message passes byte for byte, with our Received and nothing else', async (t) => {
  const filter = await openFilter(t, {
    next: { message: () => [{ code: 250, enhanced: '2.0.0', text: 'kept as 4X' }] },
  });
  assert.deepEqual(said(await pass(filter)), ['250 2.0.0 kept as 4X', '250 2.0.0 kept as 4X']);
  const [message] = filter.next.flow.messages;
  assert.equal(text(message!.bytes), mail.toString());
  assert.match(message!.bytes.toString(), /^Received: from mta\.example\.test .*by mx\.example\.test/s);
  assert.deepEqual(
    message!.rcptTo.map(({ address }) => address),
    [ann, ben],
  );
  assert.equal(message!.mailFrom.sender, 'sue@sender.test');
  assert.equal(filter.house.kept.length, 0, 'nothing is journalled here');
});

test('what the next server says to RCPT is said to RCPT', async (t) => {
  const filter = await openFilter(t, { next: refuseBen });
  assert.deepEqual(said(await pass(filter)), ['250 2.0.0 accepted', '550 5.1.1 not here']);
  assert.deepEqual(
    filter.next.flow.messages[0]!.rcptTo.map(({ address }) => address),
    [ann],
  );
});

for (const door of ['content-filter', 'proxy-filter'] as const) {
  test(`${door}: the next server answers MAIL and RCPT while the client still speaks`, async (t) => {
    const mailFrom: FakeAnswers['mailFrom'] = ({ sender }) => (sender === 'busy@one.test' ? busy : undefined);
    const filter = await openFilter(t, { door, next: { ...refuseBen, mailFrom } });
    const mta = await client(filter);
    t.after(() => mta.destroy());
    const say = async (line: string) => formatReply(await mta.command(line));
    assert.equal(await say('MAIL FROM:<busy@one.test>'), '450 4.2.1 busy');
    assert.equal(await say(`MAIL FROM:<${ann}>`), '250 2.1.0 Ok');
    assert.equal(await say(`RCPT TO:<${ben}>`), '550 5.1.1 not here');
    assert.equal(await say(`RCPT TO:<${ann}>`), '250 2.1.5 Ok');
    assert.equal(await say('RSET'), '250 2.0.0 Ok');
    assert.equal(await say(`MAIL FROM:<${ann}>`), '250 2.1.0 Ok');
  });
}

const refusals: {
  name: string;
  next?: FakeAnswers;
  hooks?: ScriptedHooks;
  said: string;
  reached: boolean;
}[] = [
  { name: 'MAIL', next: { mailFrom: () => busy }, said: '450 4.2.1 busy', reached: false },
  { name: 'the message', next: { message: () => [no] }, said: '550 5.1.1 not here', reached: true },
  { name: 'the message, for now', next: { message: () => [busy] }, said: '450 4.2.1 busy', reached: true },
  {
    name: 'the session, which is not ours',
    next: { message: () => [{ ...busy, code: 421 }] },
    said: '451 4.2.1 busy',
    reached: true,
  },
  {
    name: 'nothing, a plugin does',
    hooks: { message: () => ({ verdict: { action: 'reject', ...no } }) },
    said: '550 5.1.1 not here',
    reached: false,
  },
];
for (const { name, next, hooks, said: want, reached } of refusals) {
  test(`the next server refuses ${name}`, async (t) => {
    const filter = await openFilter(t, { next, hooks });
    assert.deepEqual(said(await pass(filter, [ann])), [want]);
    assert.equal(filter.next.flow.messages.length, reached ? 1 : 0);
  });
}

test('edits of a hook, to header, body, sender and recipients', async (t) => {
  const filter = await openFilter(t, {
    hooks: {
      message: () => ({
        edits: [
          { type: 'addHeader', name: 'X-New', value: '2' },
          { type: 'deleteHeader', name: 'X-Old', nth: 1 },
          { type: 'replaceBody', body: Buffer.from('other\r\n') },
          { type: 'changeSender', address: 'srs@one.test' },
          { type: 'deleteRecipient', address: ben },
          { type: 'addRecipient', address: 'log@one.test' },
        ],
      }),
    },
  });
  await pass(filter);
  const [message] = filter.next.flow.messages;
  assert.equal(text(message!.bytes), 'Subject: hello\r\nX-New: 2\r\n\r\nother\r\n');
  assert.equal(message!.mailFrom.sender, 'srs@one.test');
  assert.deepEqual(
    message!.rcptTo.map(({ address }) => address),
    [ann, 'log@one.test'],
  );
});

const mark = { recipients: { r2: { edits: [{ type: 'addHeader', name: 'X-Ben', value: 'yes' }] } } } as const;

test('edits of one recipient: two transactions behind the queue, a tempfail before it', async (t) => {
  const behind = await openFilter(t, { hooks: { message: () => mark } });
  assert.deepEqual(said(await pass(behind)), ['250 2.0.0 accepted', '250 2.0.0 accepted']);
  assert.deepEqual(
    behind.next.flow.messages.map(({ rcptTo, bytes }) => [rcptTo[0]?.address, bytes.includes('X-Ben')]),
    [
      [ann, false],
      [ben, true],
    ],
  );
  const before = await openFilter(t, { door: 'proxy-filter', hooks: { message: () => mark } });
  assert.match(said(await pass(before))[0]!, /^451 4\.3\.5/);
  assert.equal(before.next.flow.messages.length, 0);
});

test('LMTP on both sides: an answer each', async (t) => {
  const filter = await openFilter(t, {
    lmtp: true,
    next: { message: () => [{ code: 250, text: 'Ok' }, busy] },
  });
  assert.deepEqual(said(await pass(filter)), ['250 Ok', '450 4.2.1 busy']);
});

test('the client before us is named to the next server, and without a name it is the client itself', async (t) => {
  const filter = await openFilter(t);
  const outer = await openFilter(t);
  const smtp = await client(filter);
  await smtp.forwardClient('XFORWARD', { NAME: 'far.test', ADDR: '192.0.2.9', PROTO: 'ESMTP', HELO: 'far' });
  await smtp.send({ sender: '', recipients: [ann] }, { chunks: [mail] });
  await smtp.quit();
  const { connection, helo } = filter.next.flow.messages[0]!;
  assert.deepEqual([connection.remoteIp, connection.remoteName, helo], ['192.0.2.9', 'far.test', 'far']);
  await pass(outer);
  assert.equal(outer.next.flow.messages[0]!.helo, 'mta.example.test');
});

test('many messages go over one connection, and one that was closed meanwhile costs nothing', async (t) => {
  const filter = await openFilter(t);
  for (let round = 0; round < 3; round += 1) await pass(filter, [ann]);
  const connects = () => filter.next.flow.events.filter((event) => event === 'connect').length;
  // XFORWARD opens a session of the flow for each message, on the same socket.
  assert.equal(filter.next.connections.total <= 2, true);
  const before = connects();
  assert.ok(before >= 1);
  await filter.next.door.close(0);
  assert.match(said(await pass(filter, [ann]))[0]!, /^451 4\.4\.1/);
});

test('a client that gives up in the middle leaves the next server without a transaction', async (t) => {
  const filter = await openFilter(t);
  const smtp = await client(filter);
  await smtp.command(`MAIL FROM:<sue@sender.test>`);
  await smtp.command(`RCPT TO:<${ann}>`);
  smtp.destroy();
  assert.deepEqual(said(await pass(filter, [ben])), ['250 2.0.0 accepted']);
  assert.deepEqual(
    filter.next.flow.messages.map(({ rcptTo }) => rcptTo[0]?.address),
    [ben],
  );
});

test('a next server that dies in the middle of the message: 451, and the client keeps it', async (t) => {
  const filter = await openFilter(t, { next: { message: () => new Promise(() => {}) } });
  const outcome = pass(filter, [ann]);
  while (filter.next.flow.messages.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await filter.next.door.close(0, 0);
  assert.match(said(await outcome)[0]!, /^451 4\.4\.1/);
});

test('5 MB, from a spool file', async (t) => {
  const filter = await openFilter(t);
  const large = Buffer.concat([mail, Buffer.alloc(5 << 20, 'line of text\r\n')]);
  await pass(filter, [ann], large);
  assert.equal(text(filter.next.flow.messages[0]!.bytes) === large.toString('latin1'), true);
});
