/** greylist: who waits, for how long, who is known afterwards, and who never waits. RFC 6647. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TestInput, type TestSetup, testPlugin } from 'mailfilter/testing';
import greylist from '../../plugins/greylist/index.ts';
import { senderGroup } from '../../plugins/greylist/sender-group.ts';

function bench(options: NonNullable<TestSetup['options']> = {}) {
  let now = 1_000_000;
  const clock = { now: () => now, monotonicMs: () => now };
  const plugin = testPlugin(greylist, { options, clock });
  return {
    state: plugin.state,
    wait: (seconds: number) => {
      now += seconds * 1000;
    },
    rcpt: async (input: TestInput = {}) => (await plugin.rcptTo(input)).verdict.action,
    data: async (input: TestInput = {}) => (await plugin.data(input)).verdict.action,
    reply: async (input: TestInput = {}) => (await plugin.rcptTo(input)).verdict,
  };
}
const from = (remoteIp: string): TestInput => ({ connection: { remoteIp } });
const spf = { spf: { result: 'pass', domain: 'example.org' } };

test('a sender waits its time, is let in, and is known from then on', async () => {
  const { rcpt, reply, wait } = bench();
  assert.deepEqual(await reply(), {
    action: 'tempfail',
    code: 451,
    enhanced: '4.7.1',
    text: 'greylisted, try again in 300 seconds',
  });
  wait(299);
  assert.equal(await rcpt(), 'tempfail');
  wait(1);
  assert.equal(await rcpt(), 'continue');
  wait(30 * 86_400);
  assert.equal(await rcpt(), 'continue');
  wait(30 * 86_400);
  assert.equal(await rcpt(), 'continue', 'its last mail counts, not its first');
  wait(37 * 86_400);
  assert.equal(await rcpt(), 'tempfail');
});

test('whoever comes again too late begins anew, and leaves nothing behind', async () => {
  const { rcpt, wait, state } = bench();
  await rcpt();
  wait(86_401);
  assert.deepEqual(state.all, {});
  assert.equal(await rcpt(), 'tempfail');
});

test('another network, sender or recipient waits for itself; the same network does not', async () => {
  const { rcpt, wait } = bench();
  await rcpt();
  wait(300);
  assert.equal(await rcpt(from('192.0.2.77')), 'continue');
  assert.equal(await rcpt(from('192.0.3.1')), 'tempfail');
  assert.equal(await rcpt({ sender: 'other@example.org' }), 'tempfail');
  assert.equal(await rcpt({ recipients: ['bob@example.test'] }), 'tempfail');
});

test('IPv6 clients are known by their /64', async () => {
  const { rcpt, wait } = bench();
  await rcpt(from('2001:db8::1'));
  wait(300);
  assert.equal(await rcpt(from('2001:db8:0:0:ffff::9')), 'continue');
  assert.equal(await rcpt(from('2001:db8:0:1::1')), 'tempfail');
});

test('a pass of SPF shortens the wait, and any client of that domain may come again', async () => {
  const { rcpt, wait } = bench();
  assert.equal(await rcpt({ results: spf }), 'tempfail');
  wait(60);
  assert.equal(await rcpt({ results: spf, ...from('203.0.113.9') }), 'continue');
  assert.equal(await rcpt(from('203.0.113.9')), 'tempfail', 'without the pass it is another');
  assert.equal(await bench({ spfPass: 'exempt' }).rcpt({ results: spf }), 'continue');
  const failed = { spf: { result: 'fail', domain: 'example.org' } };
  assert.equal(await bench({ spfPass: 'exempt' }).rcpt({ results: failed }), 'tempfail');
  const ignoring = bench({ spfPass: 'ignore' });
  await ignoring.rcpt({ results: spf });
  ignoring.wait(60);
  assert.equal(await ignoring.rcpt({ results: spf }), 'tempfail');
});

test('a network that came again often enough waits no more, and its attempts alone do not count', async () => {
  const { rcpt, wait } = bench({ passesToAllow: 2 });
  for (const sender of ['a@x.test', 'b@x.test']) await rcpt({ sender });
  assert.equal(await rcpt({ sender: 'c@x.test' }), 'tempfail');
  wait(300);
  assert.equal(await rcpt({ sender: 'a@x.test' }), 'continue');
  assert.equal(await rcpt({ sender: 'a@x.test' }), 'continue');
  assert.equal(await rcpt({ sender: 'd@x.test' }), 'tempfail');
  assert.equal(await rcpt({ sender: 'b@x.test' }), 'continue');
  assert.equal(await rcpt({ sender: 'e@x.test' }), 'continue');
});

test('the null sender is asked at DATA, not at RCPT', async () => {
  const { rcpt, data, wait } = bench();
  assert.equal(await rcpt({ sender: '' }), 'continue');
  assert.equal(await data({ sender: '' }), 'tempfail');
  assert.equal(await data(), 'continue');
  wait(300);
  assert.equal(await data({ sender: '' }), 'continue');
});

const never: readonly [string, NonNullable<TestSetup['options']>, TestInput][] = [
  ['a trusted client', {}, { connection: { trusted: true } }],
  ['a user', {}, { session: { user: 'ann@example.test' } }],
  ['a unix socket', {}, { connection: { remoteIp: '' } }],
  ['a recipient that is not there', {}, { route: 'unknown-user' }],
  [
    'a client that an allow list vouches for',
    {},
    { results: { dnsbl: { listed: [], allowed: ['good.test'] } } },
  ],
  ['an exempt network', { exemptNetworks: ['192.0.2.0/28'] }, {}],
  ['an exempt sender', { exemptSenders: ['@Example.org'] }, {}],
  ['an exempt recipient', { exemptRecipients: ['Alice@example.test'] }, {}],
];
for (const [name, options, input] of never) {
  test(`${name} never waits and costs no state`, async () => {
    const { rcpt, state } = bench(options);
    assert.equal(await rcpt(input), 'continue');
    assert.deepEqual(state.all, {});
  });
}

test('an allow list counts where that is wanted alone, and one that says nothing does not', async () => {
  const allowed = { dnsbl: { listed: [], allowed: ['good.test'] } };
  assert.equal(await bench({ exemptAllowed: false }).rcpt({ results: allowed }), 'tempfail');
  assert.equal(await bench().rcpt({ results: { dnsbl: { listed: [] } } }), 'tempfail');
});

test('a network that is none is told at load', async () => {
  await assert.rejects(bench({ exemptNetworks: ['192.0.2.0/99'] }).rcpt(), /192\.0\.2\.0\/99/);
});

test('senders that change with each message are one', () => {
  for (const [one, other] of [
    ['bounce-1234-77@list.test', 'bounce-99-5@LIST.test'],
    ['prvs=0123abcdef=ann@a.test', 'ann@a.test'],
    ['news+alice=example.test@a.test', 'news@a.test'],
    ['SRS0=abcd=5T=origin.test=ann@fwd.test', 'SRS0=efgh=6A=origin.test=ann@fwd.test'],
  ] as const)
    assert.equal(senderGroup(one), senderGroup(other));
  assert.notEqual(senderGroup('ann@a.test'), senderGroup('bob@a.test'));
  assert.equal(senderGroup(''), '');
});
