/** One attempt at one destination: which host is tried after which answer, recipients that a server takes no more of, connections that are used again. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { silentLog } from '../../core/base/log.ts';
import type { OutboundConfig } from '../../core/config/config.ts';
import { render } from '../../core/mail/render.ts';
import { memoryDns, type ZoneData } from '../../core/net/dns-zone.ts';
import { createLookup } from '../../src/outbound/lookup.ts';
import { createOutbound, type TlsEvent } from '../../src/outbound/send.ts';
import { freePort } from '../kit/free-port.ts';
import { memorySource } from '../kit/message-source.ts';
import { type Script, type ScriptedServer, serveScript } from '../kit/scripted-smtp.ts';

const defaults: OutboundConfig = {
  port: 25,
  tls: 'opportunistic',
  dane: false,
  mtaSts: false,
  mtaStsPort: 443,
  addresses: [],
  connections: 10,
  connectionsPerDestination: 5,
  messagesPerConnection: 10,
  recipientsPerMessage: 100,
  messagesPerMinute: 0,
  destinations: {},
  connectTimeoutSeconds: 2,
};

interface Remote {
  readonly hosts: readonly ScriptedServer[];
  readonly events: readonly TlsEvent[];
  /** Outcome and reply of each recipient. */
  send(recipients?: number, text?: string): Promise<string[]>;
}

/** Hosts of one domain in order of preference, on addresses of their own; 'dead' listens nowhere. */
async function remote(
  t: TestContext,
  scripts: readonly (Script | 'dead')[],
  config: Partial<OutboundConfig> = {},
  zone: ZoneData = {},
): Promise<Remote> {
  const port = await freePort();
  const ips = scripts.map((_, index) => `127.0.3.${index + 1}`);
  const hosts: ScriptedServer[] = [];
  for (const [index, script] of scripts.entries()) {
    if (script !== 'dead') hosts.push(await serveScript(t, script, { host: ips[index]!, port }));
  }
  const dns = memoryDns({
    'remote.test': { MX: ips.map((_, index) => ({ exchange: `mx${index}.test`, preference: index })) },
    ...Object.fromEntries(ips.map((ip, index) => [`mx${index}.test`, { A: [ip] }])),
    ...zone,
  });
  const events: TlsEvent[] = [];
  const outbound = createOutbound({
    hostname: 'mx.ours.test',
    config: { ...defaults, port, ...config },
    lookup: createLookup(dns, undefined),
    findSts: undefined,
    isOwn: () => false,
    log: silentLog,
    onTls: (event) => events.push(event),
  });
  t.after(() => outbound.close());
  const send = async (count = 1, text = 'Subject: x\r\n\r\nx\r\n') => {
    const recipients = Array.from({ length: count }, (_, index) => {
      const address = `r${index}@remote.test`;
      return { id: `r${index}`, address, original: address, notify: [] };
    });
    const result = await outbound.send({
      id: 'T1',
      via: 'mx',
      sender: 'ann@ours.test',
      recipients,
      envelope: { body: /[^\0-\x7f]/.test(text) ? '8bitmime' : '7bit', smtputf8: false, requireTls: false },
      rendered: render(memorySource(Buffer.from(text)), []),
    });
    return result.recipients.map(({ outcome, reply }) => `${outcome} ${reply.code} ${reply.enhanced ?? ''}`);
  };
  return { hosts, events, send };
}

const refused = { greeting: '554 5.7.1 not you' };
const busy = { greeting: '421 4.3.2 busy' };

const doors: readonly { name: string; scripts: readonly (Script | 'dead')[]; want: string }[] = [
  { name: 'the only host refuses at its door', scripts: [refused], want: 'failed 554 5.7.1' },
  { name: 'all hosts refuse', scripts: [refused, refused], want: 'failed 554 5.7.1' },
  { name: 'one is away, the other refuses', scripts: ['dead', refused], want: 'deferred 451 4.4.1' },
  { name: 'one refuses, the other is away', scripts: [refused, 'dead'], want: 'deferred 451 4.4.1' },
  { name: 'one is busy, the other refuses', scripts: [busy, refused], want: 'deferred 421 4.3.2' },
  { name: 'one refuses, the other takes it', scripts: [refused, {}], want: 'delivered 250 2.0.0' },
  { name: 'one is away, the other takes it', scripts: ['dead', {}], want: 'delivered 250 2.0.0' },
  {
    name: 'MAIL is answered 421, the other takes it',
    scripts: [{ MAIL: '421 4.3.2 bye' }, {}],
    want: 'delivered 250 2.0.0',
  },
  {
    name: 'EHLO breaks off, the other takes it',
    scripts: [{ EHLO: 'close' }, {}],
    want: 'delivered 250 2.0.0',
  },
  {
    name: 'MAIL breaks off, the other takes it',
    scripts: [{ MAIL: 'close' }, {}],
    want: 'delivered 250 2.0.0',
  },
  {
    name: 'one takes no message of this size, the other does',
    scripts: [{ EHLO: '250-me\r\n250 SIZE 10' }, {}],
    want: 'delivered 250 2.0.0',
  },
  {
    name: 'none takes a message of this size',
    scripts: [{ EHLO: '250-me\r\n250 SIZE 10' }, { EHLO: '250-me\r\n250 SIZE 12' }],
    want: 'failed 552 5.3.4',
  },
  {
    name: 'a recipient that is refused is not offered elsewhere',
    scripts: [{ RCPT: '550 5.1.1 nobody' }, {}],
    want: 'failed 550 5.1.1',
  },
  {
    name: 'lost after the data: it may have been taken, and goes nowhere else now',
    scripts: [{ data: 'close' }, {}],
    want: 'deferred 451 4.4.1',
  },
];
for (const { name, scripts, want } of doors) {
  test(`hosts in turn: ${name}`, async (t) => {
    const { send } = await remote(t, scripts);
    assert.deepEqual(await send(), [want]);
  });
}

const taken = '250 2.1.5 ok';
const tooMany: readonly { name: string; RCPT: string[]; want: string[]; messages: number }[] = [
  {
    name: '452: the rest goes in a transaction of its own',
    RCPT: [taken, taken, '452 4.5.3 too many recipients', '452 4.5.3 too many recipients', taken, taken],
    want: Array(4).fill('delivered 250 2.0.0'),
    messages: 2,
  },
  {
    name: '552, the old word for it',
    RCPT: [taken, taken, taken, '552 Too many recipients', taken],
    want: Array(4).fill('delivered 250 2.0.0'),
    messages: 2,
  },
  {
    name: 'where none was taken they wait',
    RCPT: Array(4).fill('552 5.5.3 too many recipients'),
    want: Array(4).fill('deferred 552 5.5.3'),
    messages: 0,
  },
  {
    name: 'a full mailbox is not that',
    RCPT: [taken, '452 4.2.2 mailbox full', '552 5.2.2 mailbox full', taken],
    want: ['delivered 250 2.0.0', 'deferred 452 4.2.2', 'failed 552 5.2.2', 'delivered 250 2.0.0'],
    messages: 1,
  },
];
for (const { name, RCPT, want, messages } of tooMany) {
  test(`more recipients than a server takes: ${name}`, async (t) => {
    const { hosts, send } = await remote(t, [{ RCPT }]);
    assert.deepEqual(await send(4), want);
    assert.equal(hosts[0]!.heard.filter((line) => line.startsWith('Subject:')).length, messages);
  });
}

test('a connection serves as many messages as the config says, then another is opened', async (t) => {
  const { hosts, send } = await remote(t, [{}], { messagesPerConnection: 3 });
  for (let count = 0; count < 7; count++) assert.deepEqual(await send(), ['delivered 250 2.0.0']);
  assert.equal(hosts[0]!.connections, 3);
});

test('a connection that was closed while it stood idle says nothing of the host', async (t) => {
  const { hosts, send } = await remote(t, [{ MAIL: ['250 ok', '421 4.4.2 idle too long', '250 ok'] }]);
  assert.deepEqual(await send(), ['delivered 250 2.0.0']);
  assert.deepEqual(await send(), ['delivered 250 2.0.0']);
  assert.equal(hosts[0]!.connections, 2);
});

test('the name in EHLO and the address it comes from are those of the config', async (t) => {
  const { hosts, events, send } = await remote(t, [{}], {
    heloName: 'out.ours.test',
    addresses: ['127.0.3.77'],
  });
  assert.deepEqual(await send(), ['delivered 250 2.0.0']);
  assert.equal(hosts[0]!.heard[0], 'EHLO out.ours.test');
  assert.equal(events[0]!.localIp, '127.0.3.77');
});

const zones: Readonly<Record<string, ZoneData>> = {
  'without an MX the domain is its host': { 'remote.test': { A: ['127.0.3.1'] } },
  'a host that is an alias': { 'mx0.test': { CNAME: ['real.test'] }, 'real.test': { A: ['127.0.3.1'] } },
  'an IPv6 address where nobody listens, then IPv4': { 'mx0.test': { AAAA: ['::1'], A: ['127.0.3.1'] } },
};
for (const [name, zone] of Object.entries(zones)) {
  test(`delivered: ${name}`, async (t) => {
    const { send } = await remote(t, [{}], {}, zone);
    assert.deepEqual(await send(), ['delivered 250 2.0.0']);
  });
}

const eightBit =
  'Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGrüße an alle\r\n';
const asItIs = Buffer.from(eightBit).toString('latin1').slice(0, -2);
const sevenBit =
  'Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n' +
  'Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe an alle';
const takes8Bit = { EHLO: '250-me\r\n250-SIZE 1000\r\n250 8BITMIME' };
const chunking = { EHLO: '250-me\r\n250-SIZE 1000\r\n250 CHUNKING' };
const equal = { 'remote.test': { MX: [0, 1].map((n) => ({ exchange: `mx${n}.test`, preference: 5 })) } };
const unequal = { 'remote.test': { MX: [0, 1].map((n) => ({ exchange: `mx${n}.test`, preference: n })) } };
const signed = `Content-Type: multipart/signed; boundary=x\r\n\r\n--x\r\n\r\nü\r\n--x--\r\n`;
const sevenBitHosts: readonly {
  name: string;
  scripts: readonly (Script | 'dead')[];
  zone?: ZoneData;
  text?: string;
  /** What all hosts together heard from MAIL to the message. */
  want: readonly string[];
}[] = [
  {
    name: 'a host with it gets the octets as they are',
    scripts: [takes8Bit],
    want: [`MAIL FROM:<ann@ours.test> SIZE=${Buffer.byteLength(eightBit)} BODY=8BITMIME`, 'DATA', asItIs],
  },
  { name: 'the only host lacks it', scripts: [{}], want: ['MAIL FROM:<ann@ours.test>', 'DATA', sevenBit] },
  {
    name: 'no BDAT without a length',
    scripts: [chunking],
    want: ['MAIL FROM:<ann@ours.test>', 'DATA', sevenBit],
  },
  {
    name: 'of two equal hosts the one that has it',
    scripts: [{}, takes8Bit],
    zone: equal,
    want: [`MAIL FROM:<ann@ours.test> SIZE=${Buffer.byteLength(eightBit)} BODY=8BITMIME`, 'DATA', asItIs],
  },
  {
    name: 'a host preferred more than one that has it',
    scripts: [{}, takes8Bit],
    zone: unequal,
    want: ['MAIL FROM:<ann@ours.test>', 'DATA', sevenBit],
  },
  {
    name: 'one lacks it, the other is away',
    scripts: [{}, 'dead'],
    zone: equal,
    want: ['MAIL FROM:<ann@ours.test>', 'DATA', sevenBit],
  },
  {
    name: 'one lacks it, the other has no address',
    scripts: [{}],
    zone: { 'remote.test': { MX: [...equal['remote.test'].MX] } },
    want: ['MAIL FROM:<ann@ours.test>', 'DATA', sevenBit],
  },
  {
    name: 'what cannot be converted goes as it is',
    scripts: [{}],
    text: signed,
    want: [
      `MAIL FROM:<ann@ours.test> SIZE=${Buffer.byteLength(signed)}`,
      'DATA',
      Buffer.from(signed).toString('latin1').slice(0, -2),
    ],
  },
];
for (const { name, scripts, zone, text = eightBit, want } of sevenBitHosts) {
  test(`8BITMIME: ${name}`, async (t) => {
    const { hosts, send } = await remote(t, scripts, {}, zone);
    assert.deepEqual(await send(1, text), ['delivered 250 2.0.0']);
    const heard = hosts.flatMap((host) => host.heard).filter((line) => !/^(EHLO|RCPT|QUIT)/.test(line));
    assert.deepEqual(heard, want);
  });
}

test('8BITMIME: each transaction of a host that lacks it gets the whole converted message', async (t) => {
  const RCPT = [taken, '452 4.5.3 too many recipients', taken];
  const { hosts, send } = await remote(t, [{ RCPT }]);
  assert.deepEqual(await send(2, eightBit), Array(2).fill('delivered 250 2.0.0'));
  assert.equal(hosts[0]!.heard.filter((line) => line === sevenBit).length, 2);
  assert.equal(hosts[0]!.connections, 1);
});
