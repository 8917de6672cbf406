/** Whatever a client sends as a message is delivered as it came or refused with the right code, in bounded time and memory. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { randomSource } from '../kit/random.ts';
import { until } from '../kit/server.ts';
import { MailClient, sendOne } from './mail-client.ts';
import {
  campaign,
  idIn,
  inboxOf,
  memoryOf,
  openServer,
  resetPeak,
  traceOf,
  type WholeServer,
} from './observe.ts';
import { storedForm, withoutReturnPath, withoutTrace } from './stored-form.ts';

const parse = fileURLToPath(new URL('plugins/parse.ts', import.meta.url));

let server: WholeServer;
let mta: number;
let baseMiB: number;
before(async () => {
  server = await openServer({ inbound: [parse] });
  mta = server.pidOf('mta');
  await sendOne(server.ports.smtp!, { to: ['bob@example.test'], message: 'Subject: warm\n\nup\n' });
  resetPeak(mta);
  baseMiB = memoryOf(mta).peakMiB;
});
after(async () => {
  await server[Symbol.asyncDispose]();
});

const to = ['alice@example.test'];
const lines = (count: number, line: (n: number) => string) =>
  Array.from({ length: count }, (_, n) => `${line(n)}\r\n`).join('');

/** `reply` is a 250 or the refusal; delivered messages are compared octet by octet. */
const odd: readonly { name: string; message: string; reply: RegExp; parsed?: RegExp }[] = [
  {
    name: '100,000 header fields',
    message: `${lines(100_000, (n) => `X-${n}: ${n}`)}\r\nbody\r\n`,
    reply: /^(?:552 5\.3\.4|554 5\.6\.0) /,
  },
  {
    name: '100,000 short header fields',
    message: `${lines(100_000, () => 'A: b')}\r\nbody\r\n`,
    reply: /^554 5\.6\.0 /,
  },
  {
    name: 'a header field of 100,000 lines',
    message: `X-Long: begin\r\n${lines(100_000, () => ' go on')}\r\nbody\r\n`,
    reply: /^250 /,
  },
  {
    name: 'a header line of 10 MB',
    message: `X-Long: ${'x'.repeat(10_000_000)}\r\n\r\nbody\r\n`,
    reply: /^552 5\.3\.4 /,
  },
  {
    name: 'a body line of 10 MB',
    message: `Subject: long\r\n\r\n${'x'.repeat(10_000_000)}\r\n`,
    reply: /^250 /,
  },
  {
    name: 'a header of 2 MB without an end',
    message: lines(200_000, () => 'X: abcdef'),
    reply: /^(?:552 5\.3\.4|554 5\.6\.0) /,
  },
  { name: '1,000 nested parts', message: nested(1000), reply: /^250 /, parsed: /too large: depth/ },
  { name: '20,000 parts side by side', message: wide(20_000), reply: /^250 /, parsed: /too large: parts/ },
  { name: '1,000 nested message/rfc822', message: forwarded(1000), reply: /^250 / },
  { name: '101 Received fields', message: `${lines(101, () => 'Received: x')}\r\n`, reply: /^554 5\.4\.6 / },
  { name: 'nothing at all', message: '', reply: /^250 /, parsed: /fields/ },
  { name: 'one line end', message: '\r\n', reply: /^250 /, parsed: /fields/ },
  { name: 'line ends alone', message: '\r\n'.repeat(10_000), reply: /^250 / },
  { name: 'no header', message: 'just a line of text\r\nand another\r\n', reply: /^250 / },
  { name: 'no body and no empty line', message: 'Subject: header alone\r\n', reply: /^250 / },
  { name: 'no body', message: 'Subject: header alone\r\n\r\n', reply: /^250 / },
  { name: 'dots', message: '.\r\n..\r\n...\r\n.x\r\n', reply: /^250 / },
  { name: 'NULs', message: 'Subject: a\0b\r\n\0: c\r\n\r\nd\0\0\r\n\0', reply: /^250 / },
  {
    name: 'octets above 127 in names',
    message: 'S\xfcbject: \xff\r\n\xff: \x80\r\n\r\n\xfe\r\n',
    reply: /^250 /,
  },
  { name: 'a colon alone', message: ':\r\n: x\r\n:\r\n\r\nx\r\n', reply: /^250 / },
  { name: 'continuation lines first', message: ' one\r\n\ttwo\r\nSubject: x\r\n\r\nx\r\n', reply: /^250 / },
  {
    name: 'bare line ends and what looks like an end',
    message: 'Subject: x\r\n\r\na\n.\nb\r.\rc\r\n.\n\r\nd\r\r\n.\r\r\ne\n',
    reply: /^250 /,
  },
  {
    name: 'a boundary that never comes',
    message: 'Content-Type: multipart/mixed; boundary=x\r\n\r\n--y\r\n\r\nz\r\n',
    reply: /^250 /,
  },
  {
    name: 'encoded words without end',
    message: `Subject: ${'=?utf-8?q?=41?= '.repeat(20_000)}\r\n\r\nx\r\n`,
    reply: /^250 /,
  },
  {
    name: 'addresses without end',
    message: `To: ${'"a" <a@b.example>, ((('.repeat(20_000)}\r\n\r\nx\r\n`,
    reply: /^250 /,
  },
];

/** What the plugin has to have said of them, looked at when all have come. */
const delivered: { id: string; name: string; parsed: RegExp | undefined }[] = [];

for (const { name, message, reply: want, parsed } of odd) {
  test(name, async (t) => {
    const startedMs = performance.now();
    const octets = Buffer.from(message, 'latin1');
    const [reply] = await sendOne(server.ports.smtp!, { to, message: octets });
    assert.match(reply!, want);
    const tookMs = performance.now() - startedMs;
    t.diagnostic(`${reply?.slice(0, 40)} in ${Math.round(tookMs)} ms`);
    assert.ok(tookMs < 15_000, `took ${tookMs} ms`);
    if (!reply!.startsWith('250')) return;
    const id = idIn(reply);
    await assertStored(id, octets);
    delivered.push({ id, name, parsed });
  });
}

test('each of them was parsed, or not for its size, and the plugin never failed', async () => {
  for (const { id, name, parsed } of delivered) {
    const entry = (await traceOf(server, id)).entries.find(({ plugin }) => plugin === 'parse');
    assert.equal(entry?.failure, undefined, name);
    assert.match(String(entry?.result), parsed ?? /./, name);
  }
});

test('random octets as messages', async () => {
  const random = randomSource('random messages');
  const client = await MailClient.open(server.ports.smtp!);
  for (let n = 0; n < (campaign ? 2000 : 60); n += 1) {
    const octets = randomMessage(random);
    const [reply] = await client.send({ to, message: octets });
    assert.match(reply!, /^250 /, `message ${n}`);
    await assertStored(idIn(reply), octets);
  }
  await client.quit();
});

test('10,000 recipients: those past the limit hear 452, the others get the mail', async (t) => {
  const client = await MailClient.open(server.ports.smtp!);
  const many = Array.from({ length: 10_000 }, (_, n) => `carol+${n}@example.test`);
  const startedMs = performance.now();
  const [mail, ...answers] = await client.envelope({ to: many });
  assert.match(mail!, /^250 /);
  const taken = answers.filter((reply) => reply.startsWith('250 ')).length;
  assert.equal(taken, 1000);
  // RFC 5321 section 4.5.3.1.10.
  assert.equal(answers.filter((reply) => reply.startsWith('452 4.5.3 ')).length, 9000);
  const [reply] = await client.data('Subject: to many\n\nall of you\n');
  assert.match(reply!, /^250 /);
  await until('1,000 copies', () => inboxOf(server, 'carol').length === 1000, 30_000);
  t.diagnostic(`${Math.round(performance.now() - startedMs)} ms`);
  await client.quit();
});

test('one process has lived through all of it, in bounded memory, and takes mail as before', async (t) => {
  assert.equal(server.pidOf('mta'), mta);
  const [reply] = await sendOne(server.ports.smtp!, {
    to: ['bob@example.test'],
    message: 'Subject: last\n\nx\n',
  });
  assert.match(reply!, /^250 /);
  const grownMiB = memoryOf(mta).peakMiB - baseMiB;
  t.diagnostic(`the mta grew by ${Math.round(grownMiB)} MiB at most`);
  assert.ok(grownMiB < 256, `grew by ${grownMiB} MiB`);
});

async function assertStored(id: string, sent: Buffer): Promise<void> {
  const copyOf = () =>
    inboxOf(server, 'alice')
      .map(latin1)
      .find((text) => text.includes(`id ${id} `));
  await until(`a copy of ${id}`, () => copyOf() !== undefined);
  const expected = withoutReturnPath(storedForm(sent));
  assert.equal(withoutTrace(copyOf()!, expected), expected);
}

function latin1(octets: Buffer): string {
  return octets.toString('latin1');
}

function nested(depth: number): string {
  const open = (n: number) => `Content-Type: multipart/mixed; boundary=b${n}\r\n\r\n--b${n}\r\n`;
  const parts = Array.from({ length: depth }, (_, n) => open(n)).join('');
  return `Subject: deep\r\n${parts}Content-Type: text/plain\r\n\r\ndeep\r\n`;
}

function wide(count: number): string {
  return `Content-Type: multipart/mixed; boundary=b\r\n\r\n${lines(count, (n) => `--b\r\n\r\n${n}`)}--b--\r\n`;
}

function forwarded(depth: number): string {
  return `${'Content-Type: message/rfc822\r\n\r\n'.repeat(depth)}Subject: inner\r\n\r\nx\r\n`;
}

/** Octets at random, or pieces of mail in the wrong order. */
function randomMessage(random: ReturnType<typeof randomSource>): Buffer {
  if (random.below(2) === 0) return random.bytes(random.below(4000));
  const pieces = ['\r\n', '\n', '\r', '.', '..', 'Subject: x', 'From ', ':', ' ', '\0', '--b', '\xff', '=?'];
  const count = random.below(400);
  const header = random.pick(['Content-Type: multipart/mixed; boundary=b\r\n', 'Subject: x\r\n', '']);
  return Buffer.from(header + Array.from({ length: count }, () => random.pick(pieces)).join(''), 'latin1');
}
