/** tarpit: who waits and for how long, in bounded numbers, and what an early talker meets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TestInput, type TestSetup, testPlugin } from 'mailfilter/testing';
import tarpit from '../../plugins/tarpit/index.ts';
import { LineClient } from '../kit/line-client.ts';
import { startServer } from '../kit/server.ts';

type Options = NonNullable<TestSetup['options']>;
const short = { replySeconds: 0.02 };

const suspects: readonly [name: string, results: TestInput['results'], waits: boolean][] = [
  ['nothing said', {}, false],
  ['listed', { dnsbl: { listed: [{ zone: 'bl.test' }] } }, true],
  ['listed, and vouched for', { dnsbl: { listed: [{ zone: 'bl.test' }], allowed: ['good.test'] } }, false],
  ['a HELO name', { 'helo-checks': { findings: ['noDot'] } }, true],
  ['no finding', { 'helo-checks': { findings: [] } }, false],
  ['a mark of the spamtrap', { spamtrap: { marked: true } }, true],
  ['over a limit', { 'rate-limit': { over: ['x'] } }, true],
];
for (const [name, results, waits] of suspects) {
  test(`tarpit: ${name}`, async () => {
    const plugin = testPlugin(tarpit, { options: short });
    for (const hook of ['helo', 'mailFrom', 'rcptTo', 'data'] as const) {
      const { answer } = await plugin[hook]({ results });
      assert.deepEqual(answer, waits ? { result: { waited: 0.02 } } : {}, hook);
    }
  });
}

test('tarpit: only those that are named are suspects', async () => {
  const plugin = testPlugin(tarpit, { options: { ...short, suspects: ['helo'] } });
  assert.deepEqual((await plugin.helo({ results: { spamtrap: { marked: true } } })).answer, {});
});

test('tarpit: the greeting waits for everybody where that is asked for', async () => {
  const began = performance.now();
  const { answer } = await testPlugin(tarpit, { options: { greetingSeconds: 0.05 } }).connect();
  assert.deepEqual(answer.result, { waited: 0.05 });
  assert.ok(performance.now() - began >= 45);
  assert.deepEqual((await testPlugin(tarpit).connect()).answer, {});
});

const exempt: readonly [name: string, input: TestInput][] = [
  ['a trusted client', { connection: { trusted: true } }],
  ['a user', { session: { user: 'alice@example.test' } }],
  ['submission', { connection: { door: 'submission' } }],
  ['a door without a client', { connection: { remoteIp: '' } }],
];
for (const [name, input] of exempt) {
  test(`tarpit: ${name} never waits, and is never judged`, async () => {
    const plugin = testPlugin(tarpit, {
      options: { greetingSeconds: 20, replySeconds: 20, earlyTalker: 'reject' },
    });
    const session = { talkedEarly: 'greeting' as const, ...input.session };
    const results = { dnsbl: { listed: [1] } };
    for (const hook of ['connect', 'mailFrom'] as const) {
      assert.deepEqual((await plugin[hook]({ ...input, session, results })).answer, {});
    }
  });
}

test('tarpit: waiting ends with the total, and before the time of the hook', async () => {
  const results = { dnsbl: { listed: [1] }, tarpit: { waited: 0.05 } };
  const plugin = testPlugin(tarpit, { options: { replySeconds: 20, totalSeconds: 0.06 } });
  const { waited } = (await plugin.rcptTo({ results })).answer.result as { waited: number };
  assert.ok(waited > 0.05 && waited <= 0.0601);
  const over = { ...results, tarpit: { waited: 0.06 } };
  assert.deepEqual((await plugin.rcptTo({ results: over })).answer, {});
  const brief = testPlugin(tarpit, { options: { replySeconds: 20 }, timeoutSeconds: 1.05 });
  const held = (await brief.rcptTo({ results: { dnsbl: { listed: [1] } } })).answer.result as {
    waited: number;
  };
  assert.ok(held.waited < 0.06);
});

test('tarpit: more than may wait do not, and the log says so', async () => {
  const plugin = testPlugin(tarpit, { options: { greetingSeconds: 0.2, heldMax: 3 } });
  const all = await Promise.all(Array.from({ length: 8 }, () => plugin.connect()));
  assert.equal(all.filter(({ answer }) => answer.result !== undefined).length, 3);
  assert.equal(all.filter(({ log }) => log.some(({ event }) => event === 'too-many-held')).length, 5);
});

const early: readonly [name: string, options: Options, want: object][] = [
  [
    'points',
    {},
    { symbols: [{ name: 'EARLY_TALKER', score: 3 }], score: 3, result: { talkedEarly: 'greeting' } },
  ],
  ['a mark', { earlyTalker: 'mark' }, { result: { talkedEarly: 'greeting' } }],
  ['nothing', { earlyTalker: 'off' }, {}],
];
for (const [name, options, want] of early) {
  test(`tarpit: an early talker gets ${name}`, async () => {
    const plugin = testPlugin(tarpit, { options: { replySeconds: 0, ...options } });
    const { answer } = await plugin.mailFrom({ session: { talkedEarly: 'greeting' } });
    assert.deepEqual({ ...answer }, want);
  });
}

test('tarpit: an early talker is refused, with what it did', async () => {
  const plugin = testPlugin(tarpit, { options: { replySeconds: 0, earlyTalker: 'reject' } });
  const { verdict } = await plugin.mailFrom({ session: { talkedEarly: 'command' } });
  assert.deepEqual(verdict, {
    action: 'reject',
    code: 554,
    enhanced: '5.5.1',
    text: 'you talked before the reply to your command',
  });
});

test('tarpit in the server: who talks before a greeting that is held is refused at MAIL, who waits is not', async (t) => {
  const options = { greetingSeconds: 1, earlyTalker: 'reject' };
  const server = await startServer({ inbound: [{ plugin: 'tarpit', options }] });
  t.after(() => server.stop());
  const [port] = Object.values(server.ports);
  const open = () => {
    const client = LineClient.toPort(port!);
    t.after(() => client.destroy());
    return client;
  };
  const hasty = open();
  hasty.send('EHLO c.example\r\n');
  const patient = open();
  for (const [client, want] of [
    [hasty, '554 5.5.1'],
    [patient, '250 2.1.0'],
  ] as const) {
    assert.deepEqual(await client.codes(1, 60_000), ['220']);
    if (client === patient) client.send('EHLO c.example\r\n');
    assert.deepEqual(await client.codes(1, 60_000), ['250']);
    client.send('MAIL FROM:<a@example.org>\r\n');
    assert.deepEqual(await client.codes(1, 60_000), [want]);
    // A transaction that is open would hold up the end of the server.
    client.destroy();
  }
});
