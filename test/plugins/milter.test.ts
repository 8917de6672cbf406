/** plugins/milter against our own milter door: both ends of the protocol in one, every edit and refusal. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  encodeReply,
  type MilterReply,
  PacketReader,
  type StepName,
  stepBits,
  type Terms,
} from 'mailfilter/milter';
import { testPlugin } from 'mailfilter/testing';
import { createTransport } from 'nodemailer';
import { parseMilterAddress } from '../../plugins/milter/address.ts';
import milter from '../../plugins/milter/index.ts';
import { projectRoot } from '../kit/require.ts';
import { startServer, until } from '../kit/server.ts';

const plugin = join(projectRoot, 'test/interop/plugins/as-told.ts');

const edited: { told: string; want: RegExp; not?: RegExp; user?: string }[] = [
  {
    told: 'none',
    want: /^Received: [^\n]*\n(?:[ \t][^\n]*\n)*X-Twice: 1\nSubject: test\nX-Twice: 2\nX-Do: none\n\nhello\n$/m,
  },
  { told: 'add', want: /X-Do: add\nX-Added: at the end\n\n/ },
  { told: 'top', want: /X-Top: first\nX-Top: second\nReceived: / },
  { told: 'middle', want: /X-Twice: 1\nX-Middle: after the first field\nSubject/ },
  { told: 'change', want: /X-Twice: 1\nSubject: =\?utf-8\?B\?Z3LDvG4=\?=\nX-Twice: changed\n/i },
  { told: 'delete', want: /Subject: test\nX-Twice: the one that is left\n/, not: /X-Twice: 1/ },
  { told: 'all', want: /Subject: test\nX-Do/, not: /X-Twice/ },
  { told: 'fold', want: /X-Folded: one\n two\n\tthree\n/ },
  { told: 'large', want: /\n\n(x{70}\n){3000}$/ },
  { told: 'empty', want: /X-Do: empty\n\n?$/ },
  { told: 'sender', want: /^Return-Path: <changed@example\.org>/m },
  { told: 'recipients', want: /X-Do: recipients/, user: 'carol' },
];

test('every edit and refusal comes through both ends', async (t) => {
  const listeners = { milter: { protocol: 'milter', address: '127.0.0.1:0', pipeline: 'inbound' } };
  const filter = await startServer({ config: { listeners }, inbound: [{ plugin }] });
  t.after(() => filter.stop());
  const address = `127.0.0.1:${filter.ports.milter}`;
  const server = await startServer({ inbound: [{ plugin: 'milter', options: { address } }] });
  t.after(() => server.stop());
  const client = createTransport({
    host: '127.0.0.1',
    port: server.ports.smtp!,
    ignoreTLS: true,
    pool: true,
    maxConnections: 1,
  });
  t.after(() => client.close());
  const send = (told: string, from = 'ann@example.org', to = 'alice@example.test') =>
    client.sendMail({
      envelope: { from, to },
      raw: `X-Twice: 1\r\nSubject: test\r\nX-Twice: 2\r\nX-Do: ${told}\r\n\r\nhello\r\n`,
    });
  for (const { told, want, not, user = 'alice' } of edited) {
    await t.test(`edited: ${told}`, async () => {
      const before = new Set(server.messages(user));
      await send(told);
      const fresh = () => server.messages(user).filter((path) => !before.has(path));
      await until('the delivery', () => fresh().length === 1);
      const text = readFileSync(fresh()[0]!, 'latin1');
      assert.match(text, want);
      if (not) assert.doesNotMatch(text, not);
    });
  }
  const refused: [name: string, sent: () => Promise<unknown>, code: number, text: RegExp][] = [
    ['at MAIL', () => send('none', 'mail-reject@example.org'), 550, /100% refused/],
    ['at DATA', () => send('none', 'data-tempfail@example.org'), 451, /come back later/],
    ['at the message', () => send('reject'), 550, /100% refused/],
    ['at the message, for now', () => send('tempfail'), 451, /come back later/],
  ];
  for (const [name, sent, code, text] of refused) {
    await t.test(`refused ${name}`, async () => {
      await assert.rejects(sent, (error: Error & { responseCode?: number }) => {
        assert.equal(error.responseCode, code);
        assert.match(error.message, text);
        return true;
      });
    });
  }
  await t.test('discarded and quarantined mail is delivered to nobody', async () => {
    const count = server.messages('alice').length;
    await send('discard');
    await send('quarantine');
    await send('none');
    await until('the next one', () => server.messages('alice').length > count);
    assert.equal(server.messages('alice').length, count + 1);
  });
});

/** A milter that answers each packet as it is told. */
async function fakeMilter(t: TestContext, answer: (letter: string, socket: Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    const reader = new PacketReader();
    socket.on('error', () => {});
    t.after(() => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      for (const { letter } of reader.push(chunk)) answer(letter, socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const bound = server.address();
  assert.ok(bound && typeof bound === 'object');
  return `127.0.0.1:${bound.port}`;
}

const terms: Terms = {
  version: 6,
  actions: new Set(['addHeaders']),
  steps: new Set(['noHelo', 'noUnknown']),
};
const agreed = encodeReply({ type: 'negotiate', terms });
const proceed = encodeReply({ type: 'continue' });

const broken: [name: string, answer: (letter: string, socket: Socket) => void, want: RegExp][] = [
  ['closes at once', (_, socket) => socket.destroy(), /closed|ECONNRESET/],
  ['answers something else', (_, socket) => socket.write('HTTP/1.0 400 no\r\n\r\n'), /octets/],
  ['never answers', () => {}, /has not answered within/],
  [
    'modifies before the end',
    (letter, socket) =>
      socket.write(
        letter === 'O' ? agreed : encodeReply({ type: 'addHeader', name: 'X', value: Buffer.from('y') }),
      ),
    /before the end/,
  ],
  [
    'dies after its modifications',
    (letter, socket) => {
      if (letter === 'O') socket.write(agreed);
      else if (letter === 'E')
        socket.end(encodeReply({ type: 'addHeader', name: 'X', value: Buffer.from('y') }));
      else if (!'DAQ'.includes(letter)) socket.write(proceed);
    },
    /closed/,
  ],
];
for (const [name, answer, want] of broken) {
  test(`a milter that ${name} is a failure, never a pass`, async (t) => {
    const address = await fakeMilter(t, answer);
    const tested = testPlugin(milter, { options: { address }, timeoutSeconds: 0.5 });
    await assert.rejects(tested.message({ message: 'Subject: x\r\n\r\nhello\r\n' }), want);
  });
}

test('steps that the milter declined are not sent, and accept ends its part', async (t) => {
  const letters: string[] = [];
  const address = await fakeMilter(t, (letter, socket) => {
    letters.push(letter);
    if (letter === 'O') socket.write(agreed);
    else if (letter === 'L') socket.write(encodeReply({ type: 'accept' }));
    else if (!'DAQ'.includes(letter)) socket.write(proceed);
  });
  const tested = testPlugin(milter, { options: { address } });
  const { verdict } = await tested.message({ message: 'Subject: x\r\nX: y\r\n\r\nhello\r\n' });
  assert.equal(verdict.action, 'continue');
  assert.equal(letters.filter((letter) => letter !== 'D').join(''), 'OCMRTL');
});

/** What the milter hears, macros in the order in which they came, of one message with a body. */
async function heardBy(
  t: TestContext,
  agreed: Terms,
  answer: (letter: string) => Buffer = () => proceed,
): Promise<{ letters: string; macros: Record<string, string[]>; verdict: string }> {
  const letters: string[] = [];
  const macros: Record<string, string[]> = {};
  const reader = new PacketReader();
  const address = await listening(t, (socket) => {
    socket.on('data', (chunk: Buffer) => {
      for (const { letter, data } of reader.push(chunk)) {
        if (letter === 'D') {
          const [first = '', ...rest] = data.subarray(1).toString().split('\0');
          macros[String.fromCharCode(data[0]!)] = [first, ...rest]
            .filter((_, index) => index % 2 === 0)
            .filter(Boolean);
          continue;
        }
        letters.push(letter);
        if (letter === 'O') socket.write(encodeReply({ type: 'negotiate', terms: agreed }));
        else if (!'AQ'.includes(letter) && !silent(agreed, letter)) socket.write(answer(letter));
      }
    });
  });
  const tested = testPlugin(milter, { options: { address } });
  const { verdict } = await tested.message({ message: 'Subject: x\r\nX: y\r\n\r\nhello\r\n' });
  return { letters: letters.join(''), macros, verdict: verdict.action };
}

const noReply: Readonly<Record<string, StepName>> = {
  ...{ C: 'noReplyConnect', H: 'noReplyHelo', M: 'noReplyMail', R: 'noReplyRcpt', T: 'noReplyData' },
  ...{ L: 'noReplyHeader', N: 'noReplyEndOfHeaders', B: 'noReplyBody' },
};
function silent({ steps }: Terms, letter: string): boolean {
  return noReply[letter] !== undefined && steps.has(noReply[letter]);
}

async function listening(t: TestContext, take: (socket: Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    t.after(() => socket.destroy());
    take(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const plainTerms: Terms = { version: 6, actions: new Set(), steps: new Set() };
const talks: [name: string, terms: Terms, want: string][] = [
  ['version 6', plainTerms, 'OCHMRTLLNBE'],
  ['version 4', { ...plainTerms, version: 4 }, 'OCHMRTLLNBE'],
  ['version 3 knows no DATA', { ...plainTerms, version: 3 }, 'OCHMRLLNBE'],
  ['version 2 knows no DATA', { ...plainTerms, version: 2 }, 'OCHMRLLNBE'],
  [
    'every step but the end is declined',
    {
      ...plainTerms,
      steps: new Set(Object.keys(stepBits).filter((name) => /^no(?!Reply)/.test(name)) as StepName[]),
    },
    'OE',
  ],
  [
    'no answer but the last is waited for',
    { ...plainTerms, steps: new Set(Object.values(noReply)) },
    'OCHMRTLLNBE',
  ],
];
for (const [name, agreed, want] of talks) {
  test(`what a milter hears: ${name}`, async (t) => {
    const { letters, verdict } = await heardBy(t, agreed);
    assert.deepEqual([letters, verdict], [want, 'continue']);
  });
}

test('a milter that names macros gets these alone', async (t) => {
  const all = await heardBy(t, plainTerms);
  assert.ok(all.macros.C!.includes('j') && all.macros.C!.length > 1);
  const actions: Terms['actions'] = new Set(['setMacros']);
  const named = { connect: ['{j}'], mail: [], rcpt: ['i'] };
  const { macros } = await heardBy(t, { ...plainTerms, actions, macros: named });
  assert.deepEqual([macros.C, macros.M, macros.R], [['j'], [], ['i']]);
});

const said: [name: string, at: string, reply: MilterReply, letters: string, verdict: string][] = [
  ['skip at a header: no more of them', 'L', { type: 'skip' }, 'OCHMRTLNBE', 'continue'],
  ['accept at MAIL', 'M', { type: 'accept' }, 'OCHM', 'continue'],
  ['accept at connect', 'C', { type: 'accept' }, 'OC', 'continue'],
  ['reject at the end of the header', 'N', { type: 'reject' }, 'OCHMRTLLN', 'reject'],
  ['tempfail at the body', 'B', { type: 'tempfail' }, 'OCHMRTLLNB', 'tempfail'],
  ['discard at the end', 'E', { type: 'discard' }, 'OCHMRTLLNBE', 'discard'],
  ['shutdown at the end', 'E', { type: 'shutdown' }, 'OCHMRTLLNBE', 'tempfail'],
  ['a reply code at the end', 'E', { type: 'replyCode', lines: '554 5.7.1 no' }, 'OCHMRTLLNBE', 'reject'],
];
for (const [name, at, reply, want, action] of said) {
  test(`a milter says ${name}`, async (t) => {
    const answer = (letter: string) => (letter === at ? encodeReply(reply) : proceed);
    const { letters, verdict } = await heardBy(t, plainTerms, answer);
    assert.deepEqual([letters.replace(/A?Q?$/, ''), verdict], [want, action]);
  });
}

test('signs of progress are no answer, at any step', async (t) => {
  const slowly = () =>
    Buffer.concat([encodeReply({ type: 'progress' }), encodeReply({ type: 'progress' }), proceed]);
  const { letters, verdict } = await heardBy(t, plainTerms, slowly);
  assert.deepEqual([letters, verdict], ['OCHMRTLLNBE', 'continue']);
});

const addresses: [text: string, want: unknown][] = [
  ['unix:/run/a.sock', { path: '/run/a.sock' }],
  ['local:run/a.sock', { path: '/etc/mailfilter/run/a.sock' }],
  ['127.0.0.1:8891', { host: '127.0.0.1', port: 8891 }],
  ['inet:[::1]:8891', { host: '::1', port: 8891 }],
  ['inet:8891@localhost', { host: 'localhost', port: 8891 }],
  ['8891', undefined],
  ['localhost:0', undefined],
  ['localhost:99999', undefined],
];
for (const [text, want] of addresses) {
  test(`address ${text}`, () => {
    if (want === undefined) assert.throws(() => parseMilterAddress(text, '/etc/mailfilter'), TypeError);
    else assert.deepEqual(parseMilterAddress(text, '/etc/mailfilter'), want);
  });
}
