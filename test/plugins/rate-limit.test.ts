/** rate-limit: who is counted, how the window slides, and that what was turned away does not count. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TestInput, testPlugin } from 'mailfilter/testing';
import rateLimit from '../../plugins/rate-limit/index.ts';

type Given = Readonly<Record<string, string | number>>;

function bench(limits: readonly Given[], more: Readonly<Record<string, number | boolean>> = {}) {
  let now = 1_000_000_000;
  const clock = { now: () => now, monotonicMs: () => now };
  const plugin = testPlugin(rateLimit, { options: { limits, ...more }, clock });
  return {
    plugin,
    wait: (seconds: number) => {
      now += seconds * 1000;
    },
    mail: async (input: TestInput = {}) => (await plugin.mailFrom(input)).verdict.action,
    rcpt: async (input: TestInput = {}) => (await plugin.rcptTo(input)).verdict.action,
  };
}
const from = (remoteIp: string): TestInput => ({ connection: { remoteIp } });
const user = (name: string, remoteIp = '192.0.2.1'): TestInput => ({
  session: { user: name },
  connection: { remoteIp, trusted: true, door: 'submission' },
});

test('one too many is turned away for now, and told why', async () => {
  const { plugin } = bench([{ per: 'address', max: 2, seconds: 60 }]);
  await plugin.mailFrom();
  assert.equal((await plugin.mailFrom()).verdict.action, 'continue');
  const { verdict, answer } = await plugin.mailFrom();
  assert.deepEqual(verdict, {
    action: 'tempfail',
    code: 450,
    enhanced: '4.7.1',
    text: 'too many messages from 192.0.2.1, try again later',
  });
  assert.deepEqual(answer.result, { over: ['2 messages per address in 60 s'] });
});

test('the window slides: no burst at its border, room as time goes by, and attempts in vain cost nothing', async () => {
  const { mail, wait } = bench([{ per: 'address', max: 4, seconds: 100 }]);
  for (let sent = 0; sent < 4; sent++) assert.equal(await mail(), 'continue');
  for (let tried = 0; tried < 20; tried++) assert.equal(await mail(), 'tempfail');
  wait(100);
  assert.equal(await mail(), 'tempfail', 'a new window, and all of the last one still counts');
  wait(50);
  assert.deepEqual([await mail(), await mail(), await mail()], ['continue', 'continue', 'tempfail']);
});

test('many at the same time: no more than the limit pass', async () => {
  const { mail } = bench([{ per: 'address', max: 5, seconds: 60 }]);
  const answers = await Promise.all(Array.from({ length: 40 }, () => mail()));
  assert.equal(answers.filter((action) => action === 'continue').length, 5);
});

const subjects: readonly [string, Given, TestInput, TestInput, 'same' | 'other'][] = [
  ['an address', { per: 'address' }, from('192.0.2.1'), from('192.0.2.2'), 'other'],
  ['a mapped address', { per: 'address' }, from('192.0.2.1'), from('::ffff:192.0.2.1'), 'same'],
  ['a network', { per: 'network' }, from('192.0.2.1'), from('192.0.2.2'), 'same'],
  ['another network', { per: 'network' }, from('192.0.2.1'), from('192.0.3.1'), 'other'],
  ['an IPv6 network', { per: 'network' }, from('2001:db8:1:2::1'), from('2001:db8:1:3::1'), 'same'],
  ['a user', { per: 'user' }, user('ann@a.test'), user('ANN@a.test', '203.0.113.7'), 'same'],
  ['another user', { per: 'user' }, user('ann@a.test'), user('bob@a.test'), 'other'],
  [
    'a domain',
    { per: 'senderDomain' },
    { sender: 'a@x.test' },
    { sender: 'b@X.test', ...from('203.0.113.7') },
    'same',
  ],
  ['another domain', { per: 'senderDomain' }, { sender: 'a@x.test' }, { sender: 'a@y.test' }, 'other'],
];
for (const [name, limit, first, second, want] of subjects) {
  test(`counted per subject: ${name}`, async () => {
    const { mail } = bench([{ ...limit, max: 1, seconds: 60 }]);
    assert.equal(await mail(first), 'continue');
    assert.equal(await mail(second), want === 'same' ? 'tempfail' : 'continue');
  });
}

const uncounted: readonly [string, Given, TestInput][] = [
  ['a trusted client', { per: 'address' }, { connection: { trusted: true } }],
  ['nobody who authenticated', { per: 'user' }, {}],
  ['the null sender', { per: 'senderDomain' }, { sender: '' }],
  ['a unix socket', { per: 'address' }, from('')],
];
for (const [name, limit, input] of uncounted) {
  test(`not counted: ${name}`, async () => {
    const { mail, plugin } = bench([{ ...limit, max: 1, seconds: 60 }]);
    await mail(input);
    assert.equal(await mail(input), 'continue');
    assert.deepEqual(plugin.state.all, {});
  });
}

test('recipients are counted at RCPT, those that do not exist are not', async () => {
  const { mail, rcpt } = bench([{ per: 'user', count: 'recipients', max: 2, seconds: 60 }]);
  assert.equal(await mail(user('ann@a.test')), 'continue');
  for (let tried = 0; tried < 5; tried++) await rcpt({ ...user('ann@a.test'), route: 'unknown-user' });
  assert.equal(await rcpt(user('ann@a.test')), 'continue');
  assert.equal(await rcpt(user('ann@a.test')), 'continue');
  assert.equal(await rcpt(user('ann@a.test')), 'tempfail');
});

test('the hardest of several actions is done; points and the result stand beside it', async () => {
  const { plugin } = bench([
    { per: 'address', max: 1, seconds: 60, action: 'score', score: 2 },
    { per: 'network', max: 1, seconds: 60, action: 'reject' },
  ]);
  await plugin.mailFrom();
  const { verdict, answer } = await plugin.mailFrom();
  assert.equal(verdict.action, 'reject');
  assert.deepEqual(answer.symbols, [{ name: 'RATE_ADDRESS', score: 2 }]);
});

test('mark leaves the result alone', async () => {
  const { plugin } = bench([{ per: 'address', max: 1, seconds: 60, action: 'mark' }]);
  await plugin.mailFrom();
  const { verdict, answer } = await plugin.mailFrom();
  assert.equal(verdict.action, 'continue');
  assert.deepEqual(answer.result, { over: ['1 messages per address in 60 s'] });
});

test('counters end', async () => {
  const { mail, wait, plugin } = bench([{ per: 'address', max: 1, seconds: 60 }]);
  await mail();
  wait(121);
  assert.deepEqual(plugin.state.all, {});
});

test('a limit that stands there twice is told at load', async () => {
  const limit = { per: 'address', max: 1, seconds: 60 };
  await assert.rejects(bench([limit, limit]).mail(), /twice/);
});

test('a stolen account is stopped for good time, though the window has room again, and the log names it once', async () => {
  const limit = { per: 'user', max: 2, seconds: 60, action: 'reject', stopSeconds: 3600 };
  const { plugin, wait, mail } = bench([limit]);
  const ann = user('Ann@a.test', '203.0.113.9');
  assert.deepEqual([await mail(ann), await mail(ann)], ['continue', 'continue']);
  const { verdict, log } = await plugin.mailFrom(ann);
  assert.equal(verdict.action, 'reject');
  const name = '2 messages per user in 60 s';
  assert.deepEqual(log, [
    { event: 'stopped', facts: { of: 'ann@a.test', per: 'user', limit: name, seconds: 3600 } },
    { event: 'too-many', facts: { limit: name, of: 'ann@a.test', ip: '203.0.113.9' } },
  ]);
  wait(600);
  const later = await plugin.mailFrom(ann);
  assert.equal(later.verdict.action, 'reject');
  assert.deepEqual(
    later.log.map(({ event }) => event),
    ['too-many'],
  );
  assert.equal(await mail(user('bob@a.test')), 'continue');
  wait(3000);
  assert.equal(await mail(ann), 'continue');
});
