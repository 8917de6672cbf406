/** spamtrap: what springs a trap, who is remembered and for how long, and what is taught. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TestInput, type TestSetup, testPlugin } from 'mailfilter/testing';
import { systemClock } from '../../core/base/clock.ts';
import spamtrap from '../../plugins/spamtrap/index.ts';
import { readTraps } from '../../plugins/spamtrap/traps.ts';
import { runCommand } from '../kit/command.ts';
import { startServer, until } from '../kit/server.ts';
import { sendOne } from '../server/mail-client.ts';

const traps = ['trap@example.test', '@old.example.test', 'former-*@example.test'];
type Options = NonNullable<TestSetup['options']>;

function tested(options: Options = {}, more: Partial<TestSetup> = {}) {
  return testPlugin(spamtrap, { options: { traps, ...options }, ...more });
}
/** A whole transaction to a trap. */
async function spring(plugin: ReturnType<typeof tested>, input: TestInput = {}) {
  const rcpt = await plugin.rcptTo({ recipient: 'trap@example.test', ...input });
  await plugin.data({ ...input, results: { spamtrap: rcpt.answer.result ?? {} } });
  return rcpt;
}

const addresses: readonly [address: string, want: boolean][] = [
  ['trap@example.test', true],
  ['Trap@Example.TEST', true],
  ['anybody@old.example.test', true],
  ['anybody@very.old.example.test', false],
  ['former-ann@example.test', true],
  ['former-@example.test', true],
  ['former@example.test', false],
  ['former-ann@example.test.example', false],
  ['alice@example.test', false],
];
for (const [address, want] of addresses) {
  test(`spamtrap: ${address} is ${want ? 'a' : 'no'} trap`, () =>
    assert.equal(readTraps(traps).has(address), want));
}

for (const entry of ['alice', 'alice@', '*@example.test', 'a@*.test', 'a*b*c*d*e@example.test']) {
  test(`spamtrap refuses the trap ${entry}`, () => assert.throws(() => readTraps([entry]), /traps: /));
}

const answers: readonly [answer: string, verdict: string][] = [
  ['accept', 'discard'],
  ['reject', 'reject'],
  ['deliver', 'continue'],
];
for (const [answer, want] of answers) {
  test(`spamtrap: mail to a trap, ${answer}`, async () => {
    for (const route of ['unknown-user', 'mailbox'] as const) {
      const { verdict, answer: given } = await spring(tested({ answer }), { route });
      assert.equal(verdict.action, want);
      assert.deepEqual(given.result, { trapped: ['trap@example.test'], lesson: 'spam' });
      assert.equal(given.score, 10);
    }
  });
}

test('spamtrap: other recipients are not touched; two traps of one message count once', async () => {
  const plugin = tested();
  assert.deepEqual((await plugin.rcptTo({ recipient: 'alice@example.test' })).answer, {});
  const results = { spamtrap: { trapped: ['trap@example.test'] } };
  const { answer } = await plugin.rcptTo({ recipient: 'x@old.example.test', results });
  assert.deepEqual(answer.symbols, undefined);
  assert.deepEqual(answer.result, { trapped: ['trap@example.test', 'x@old.example.test'], lesson: 'spam' });
});

const later: readonly [options: Options, want: object][] = [
  [{}, { symbols: [{ name: 'SPAMTRAP_CLIENT', score: 5 }], score: 5, result: { marked: true } }],
  [{ action: 'mark' }, { result: { marked: true } }],
  [
    { action: 'tempfail' },
    {
      verdict: {
        action: 'tempfail',
        code: 450,
        enhanced: '4.7.1',
        text: 'your host sent spam here, try again later',
      },
      result: { marked: true },
    },
  ],
  [
    { action: 'reject' },
    {
      verdict: { action: 'reject', code: 554, enhanced: '5.7.1', text: 'your host sent spam here' },
      result: { marked: true },
    },
  ],
  [{ markSeconds: 0 }, {}],
  [
    { answer: 'reject' },
    { symbols: [{ name: 'SPAMTRAP_CLIENT', score: 5 }], score: 5, result: { marked: true } },
  ],
];
for (const [options, want] of later) {
  test(`spamtrap: later mail of the client meets ${JSON.stringify(options)}`, async () => {
    const plugin = tested(options);
    assert.deepEqual((await plugin.mailFrom()).answer, {});
    await spring(plugin);
    assert.deepEqual({ ...(await plugin.mailFrom()).answer }, want);
    assert.deepEqual((await plugin.mailFrom({ connection: { remoteIp: '192.0.2.2' } })).answer, {});
  });
}

test('spamtrap: a client is forgotten after its time, and known by its network where that is wanted', async () => {
  let now = 0;
  const plugin = tested({ markSeconds: 60, ipv4Prefix: 24 }, { clock: { ...systemClock, now: () => now } });
  await spring(plugin);
  const neighbour = { connection: { remoteIp: '192.0.2.200' } };
  assert.notDeepEqual((await plugin.mailFrom(neighbour)).answer, {});
  now += 61_000;
  assert.deepEqual((await plugin.mailFrom(neighbour)).answer, {});
});

const harmless: readonly [name: string, input: TestInput, want: string][] = [
  ['the null sender', { sender: '' }, 'discard'],
  ['a user', { session: { user: 'alice@example.test' } }, 'reject'],
  ['a trusted client', { connection: { trusted: true } }, 'reject'],
  ['submission', { connection: { door: 'submission' } }, 'reject'],
];
for (const [name, input, want] of harmless) {
  test(`spamtrap: ${name} springs no trap`, async () => {
    const plugin = tested();
    const { verdict, answer } = await spring(plugin, input);
    assert.equal(verdict.action, want);
    assert.equal(answer.result, undefined);
    assert.deepEqual(plugin.state.all, {});
  });
}

test('spamtrap: a client that an allow list vouches for is not remembered', async () => {
  const plugin = tested();
  const results = { spamtrap: { trapped: ['trap@example.test'] }, dnsbl: { allowed: ['list.test'] } };
  await plugin.data({ results });
  assert.deepEqual(plugin.state.all, {});
});

test('spamtrap: a callout, which stops at RCPT, is not remembered', async () => {
  const plugin = tested();
  await plugin.rcptTo({ recipient: 'trap@example.test' });
  assert.deepEqual(plugin.state.all, {});
});

test('spamtrap in the server: a trap is nobody, is accepted, is never delivered, and teaches', async (t) => {
  const server = await startServer({
    config: {
      domains: ['example.test'],
      listeners: { mx: { protocol: 'smtp', address: '127.0.0.1:0', tls: 'none', pipeline: 'inbound' } },
      pipelines: {
        inbound: [
          { plugin: 'spamtrap', options: { traps: ['trap@example.test', 'bob@example.test'] } },
          { plugin: 'bayes', options: { minimum: 1 } },
        ],
      },
    },
  });
  t.after(() => server.stop());
  const message = 'Subject: pills\n\nbuy cheap pills\n';
  const send = (...to: string[]) => sendOne(server.ports.mx!, { from: 'x@example.org', to, message });
  assert.match((await send('nobody@example.test')).join(' '), /550 5\.1\.1/);
  assert.match(
    (await send('trap@example.test', 'bob@example.test', 'alice@example.test')).at(-1) ?? '',
    /^250/,
  );
  await until('the copy of a user that is no trap', () => server.messages('alice').length === 1);
  assert.equal(server.messages('bob').length, 0);
  const why = await runCommand(['learn', 'why', '-c', server.configFile], { input: message });
  assert.match(why.stderr, /only 1 spam and 0 ham were taught/);
});
