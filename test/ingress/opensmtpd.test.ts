/** OpenSMTPD's filter protocol as conversations: `<` is what smtpd says, `>` what we answer. */
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { ipMatcher } from '../../core/net/ip.ts';
import { createOpenSession } from '../../src/flow/open-session.ts';
import { serveOpenSmtpd } from '../../src/ingress/opensmtpd.ts';
import { openDoor } from '../kit/door.ts';
import { FakeHouse } from '../kit/fake-house.ts';
import { randomSource } from '../kit/random.ts';
import type { ScriptedHooks } from '../kit/scripted-pipelines.ts';

/** Answers to what was said, without the registration. */
async function converse(
  t: TestContext,
  input: string | Buffer,
  hooks: ScriptedHooks = {},
  gate: (id: string) => Promise<void> = async () => {},
): Promise<string[]> {
  const { log } = await openDoor(t);
  const house = new FakeHouse(t, { hooks });
  const open = createOpenSession(() => house.house, Promise.resolve());
  const input_ = new PassThrough();
  const output = new PassThrough();
  let said = '';
  output.on('data', (chunk: Buffer) => {
    said += chunk.toString('latin1');
  });
  const served = serveOpenSmtpd({
    input: input_,
    output,
    openSession: (connection, keeper) => {
      const session = open({ ...connection, listener: 'test' }, keeper);
      const connect = session.connect.bind(session);
      session.connect = () => gate(connection.id).then(connect);
      return session;
    },
    trusted: ipMatcher([]),
    log,
  });
  input_.end(Buffer.concat([Buffer.from('config|smtpd-version|6.8.0\nconfig|ready\n'), Buffer.from(input)]));
  await served;
  const [registered, rest] = said.split('register|ready\n');
  assert.match(registered!, /^register\|filter\|smtp-in\|data-line$/m);
  return rest!.split('\n').slice(0, -1);
}

const ask = (phase: string, text = '', { version = '0.6', session = 'a1', token = 'b2' } = {}) =>
  `filter|${version}|1576146008.006099|smtp-in|${phase}|${session}|${token}${text === '' ? '' : `|${text}`}\n`;
const report = (phase: string, text = '') =>
  `report|0.6|1576146008.006099|smtp-in|${phase}|a1${text === '' ? '' : `|${text}`}\n`;
const opening = ask('connect', 'mx.far.test|pass|192.0.2.1:33174|127.0.0.1:25') + ask('ehlo', 'far.test');
const envelope =
  ask('mail-from', '<ann@far.test> SIZE=100') + ask('rcpt-to', '<bob@here.test>') + ask('data');
const lines = (...texts: string[]) => texts.map((text) => ask('data-line', text)).join('');
const message = lines('Subject: hello', 'X-Old: 1', '', '..dot', 'a|b', '.');
const whole = opening + envelope + message + ask('commit');

const proceed = 'filter-result|a1|b2|proceed';
const back = (...texts: string[]) => texts.map((text) => `filter-dataline|a1|b2|${text}`);
const reject = { verdict: { action: 'reject', code: 550, enhanced: '5.7.1', text: 'no\nand no' } } as const;
const edits =
  (...list: unknown[]) =>
  () =>
    ({ edits: list }) as never;

const cases: { name: string; input?: string; hooks?: ScriptedHooks; want: string[] }[] = [
  {
    name: 'a message passes as it came',
    want: [
      ...Array(5).fill(proceed),
      ...back('Subject: hello', 'X-Old: 1', '', '..dot', 'a|b', '.'),
      proceed,
    ],
  },
  {
    name: 'edited',
    hooks: {
      message: edits(
        { type: 'addHeader', name: 'X-New', value: '2' },
        { type: 'deleteHeader', name: 'X-Old', nth: 1 },
        { type: 'replaceBody', body: Buffer.from('.x\r\ny\r\n') },
      ),
    },
    want: [...Array(5).fill(proceed), ...back('Subject: hello', 'X-New: 2', '', '..x', 'y', '.'), proceed],
  },
  {
    name: 'rejected after the message, which is nothing then',
    hooks: { message: () => reject },
    want: [...Array(5).fill(proceed), ...back('.'), 'filter-result|a1|b2|reject|550 5.7.1 no and no'],
  },
  ...(['connect', 'helo', 'mailFrom', 'rcptTo', 'data'] as const)
    .map((hook, index) => ({
      name: `rejected at ${hook}`,
      input: opening + envelope,
      hooks: { [hook]: () => reject },
      want: Array.from({ length: 5 }, (_, n) =>
        n === index ? 'filter-result|a1|b2|reject|550 5.7.1 no and no' : proceed,
      ),
    }))
    .slice(0, 2),
  {
    name: 'disconnected',
    input: opening,
    hooks: { connect: () => ({ verdict: { action: 'tempfail', code: 421, enhanced: '4.7.0', text: 'go' } }) },
    want: ['filter-result|a1|b2|disconnect|421 4.7.0 go', proceed],
  },
  {
    name: 'a recipient rewritten',
    input: opening + ask('mail-from', '<>') + ask('rcpt-to', '<bob@here.test> NOTIFY=NEVER'),
    hooks: {
      rewrite: edits(
        { type: 'deleteRecipient', address: 'bob@here.test' },
        { type: 'addRecipient', address: 'ben@here.test' },
      ),
    },
    want: [proceed, proceed, proceed, 'filter-result|a1|b2|rewrite|<ben@here.test> NOTIFY=NEVER'],
  },
  {
    name: 'what smtpd cannot do is a tempfail',
    hooks: { message: edits({ type: 'changeSender', address: 'x@far.test' }) },
    want: [
      ...Array(5).fill(proceed),
      ...back('.'),
      'filter-result|a1|b2|reject|451 4.3.5 server is misconfigured',
    ],
  },
  {
    name: 'other recipients once the message is there',
    hooks: { message: edits({ type: 'addRecipient', address: 'x@far.test' }) },
    want: [
      ...Array(5).fill(proceed),
      ...back('.'),
      'filter-result|a1|b2|reject|451 4.3.5 server is misconfigured',
    ],
  },
  {
    name: 'nothing is discarded',
    hooks: { message: () => ({ verdict: { action: 'discard', reason: 'x' } }) },
    want: [
      ...Array(5).fill(proceed),
      ...back('.'),
      'filter-result|a1|b2|reject|451 4.3.5 server is misconfigured',
    ],
  },
  {
    name: 'nothing is held',
    hooks: { message: () => ({ verdict: { action: 'quarantine', reason: 'x' } }) },
    want: [
      ...Array(5).fill(proceed),
      ...back('.'),
      'filter-result|a1|b2|reject|451 4.3.5 server is misconfigured',
    ],
  },
  {
    name: 'before version 0.5 the token is first',
    input: ask('connect', '|fail|unix:/var/run/smtpd.sock|unix:x', { version: '0.4' }),
    want: ['filter-result|b2|a1|proceed'],
  },
  {
    name: 'version 0.7',
    input: ask('connect', 'x|fail|[2001:db8::1]:25|[::1]:25', { version: '0.7' }),
    want: [proceed],
  },
  {
    name: 'a transaction that was reset leaves nothing',
    input:
      opening +
      envelope +
      lines('Subject: gone') +
      report('tx-reset') +
      envelope +
      lines('Subject: here', '', '.') +
      ask('commit'),
    want: [...Array(8).fill(proceed), ...back('Subject: here', '', '.'), proceed],
  },
  {
    name: 'a commit without a message is no yes',
    input: opening + ask('commit'),
    want: [
      proceed,
      proceed,
      'filter-result|a1|b2|reject|451 4.3.0 local error in processing, try again later',
    ],
  },
  {
    name: 'nonsense and other subsystems are let lie',
    input: `x\n|||\nreport|0.6|1|smtp-out|link-connect|a1|x\nfilter|0.6|1|smtp-in|connect|zz|b2\n${ask('noop')}`,
    want: [proceed],
  },
];
for (const { name, input = whole, hooks, want } of cases) {
  test(name, async (t) => assert.deepEqual(await converse(t, input, hooks), want));
}

test('what the hooks are told of the client', async (t) => {
  const seen: unknown[] = [];
  await converse(
    t,
    opening + report('link-tls', 'TLSv1.3:TLS_AES_256_GCM_SHA384:256') + ask('ehlo', 'far.test') + envelope,
    {
      mailFrom: ({ connection, session }) =>
        void seen.push([connection.remoteIp, connection.remoteName, session.helo, session.tls?.protocol]),
    },
  );
  assert.deepEqual(seen, [['192.0.2.1', 'mx.far.test', 'far.test', 'TLSv1.3']]);
});

test('a slow session holds up nobody else', async (t) => {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const other = { session: 'c3', token: 'd4' };
  const input =
    opening + ask('connect', 'x|fail|192.0.2.9:1|127.0.0.1:25', other) + ask('helo', 'other', other);
  const answers = await converse(t, input, {}, async (id) => {
    if (id === 'a1') await held;
    else setTimeout(release, 20);
  });
  assert.deepEqual(
    answers.map((line) => line.split('|')[1]),
    ['c3', 'c3', 'a1', 'a1'],
  );
});

test('8-bit lines and a body of 2 MB come back octet for octet', async (t) => {
  const body = Array.from({ length: 30_000 }, (_, n) => `line ${n} \xe4\xf6\xfc ${'x'.repeat(60)}`);
  const answers = await converse(
    t,
    Buffer.from(opening + envelope + lines('Subject: x', '', ...body, '.') + ask('commit'), 'latin1'),
  );
  assert.deepEqual(answers.slice(5), [...back('Subject: x', '', ...body, '.'), proceed]);
});

test('any octets: no crash, and every question that can be read is answered once', async (t) => {
  const random = randomSource('opensmtpd');
  for (let round = 0; round < 100; round += 1) {
    const bytes = Buffer.from(whole.repeat(2), 'latin1');
    for (let flips = 0; flips < 12; flips += 1) bytes[random.below(bytes.length)] = random.below(256);
    const answers = await converse(t, bytes);
    assert.ok(answers.every((line) => /^filter-(?:result|dataline)\|/.test(line)));
  }
});
