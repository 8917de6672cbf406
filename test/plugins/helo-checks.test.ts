/** helo-checks: what each name shows, names of the address and back, and that failing DNS is neither a hit nor a pass. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TestInput, type TestSetup, type TestZone, testPlugin } from 'mailfilter/testing';
import heloChecks from '../../plugins/helo-checks/index.ts';

const reverse = '1.2.0.192.in-addr.arpa';
const good: TestZone = {
  [reverse]: { PTR: ['client.example.org'] },
  'client.example.org': { A: ['203.0.113.5', '192.0.2.1'] },
};

function mailFrom(input: TestInput = {}, dns: TestZone = good, options: TestSetup['options'] = {}) {
  return testPlugin(heloChecks, { dns, options }).mailFrom(input);
}
const helo = (name: string): TestInput => ({ session: { helo: name } });

const names: readonly [name: string, finding: string | undefined][] = [
  ['client.example.org', undefined],
  ['mx.example.test', 'ownName'],
  ['MX.Example.Test.', 'ownName'],
  ['example.test', 'ownName'],
  ['host.example.test', undefined],
  ['192.0.2.1', 'bareAddress'],
  ['[192.0.2.1]', undefined],
  ['[192.0.2.2]', 'literalMismatch'],
  ['[nonsense]', 'literalMismatch'],
  ['localhost', 'noDot'],
  ['', 'noDot'],
];
for (const [name, finding] of names) {
  test(`HELO "${name}": ${finding ?? 'nothing'}`, async () => {
    const { answer } = await mailFrom(helo(name));
    assert.deepEqual((answer.result as { findings: unknown }).findings, finding ? [finding] : []);
  });
}

test('an IPv6 literal is compared as an address, and an IPv6 client by AAAA', async () => {
  const dns: TestZone = {
    [`${'1.0.0.0.'.padEnd(48, '0.')}8.b.d.0.1.0.0.2.ip6.arpa`]: { PTR: ['six.example.org'] },
    'six.example.org': { AAAA: ['2001:db8:0::1'] },
  };
  const connection = { remoteIp: '2001:db8::1' };
  const { answer } = await mailFrom({ ...helo('[IPv6:2001:DB8:0:0::1]'), connection }, dns);
  assert.deepEqual(answer.result, {
    findings: [],
    reverse: { names: ['six.example.org'], confirmed: ['six.example.org'] },
  });
});

test('a forged name of ours is refused without a question to DNS', async () => {
  const { verdict } = await mailFrom(helo('mx.example.test'), { [reverse]: { PTR: 'SERVFAIL' } });
  assert.deepEqual(verdict, {
    action: 'reject',
    code: 550,
    enhanced: '5.7.1',
    text: 'your HELO name is one of ours',
  });
});

test('an address without a name scores, one that does not lead back is marked', async () => {
  const none = await mailFrom({}, {});
  assert.deepEqual(none.answer.symbols, [{ name: 'RDNS_NONE', score: 1.5 }]);
  const other = await mailFrom({}, { ...good, 'client.example.org': { A: ['203.0.113.5'] } });
  assert.deepEqual(other.answer.symbols, []);
  assert.deepEqual(other.answer.result, {
    findings: ['unconfirmedReverse'],
    reverse: { names: ['client.example.org'], confirmed: [] },
  });
});

test('refused for its reverse names: 5.7.25', async () => {
  const { verdict } = await mailFrom({}, {}, { noReverse: 'reject' });
  assert.equal(verdict.action === 'reject' && verdict.enhanced, '5.7.25');
});

test('DNS that fails is the failure policy’s, unless another name is confirmed', async () => {
  await assert.rejects(mailFrom({}, { [reverse]: { PTR: 'SERVFAIL' } }));
  await assert.rejects(mailFrom({}, { ...good, 'client.example.org': { A: 'TIMEOUT' } }));
  const two: TestZone = {
    ...good,
    [reverse]: { PTR: ['broken.example.org', 'client.example.org'] },
    'broken.example.org': { A: 'SERVFAIL' },
  };
  assert.deepEqual((await mailFrom({}, two)).answer.symbols, []);
});

test('a PTR record that is no name is not confirmed, and no failure', async () => {
  const { answer } = await mailFrom({}, { [reverse]: { PTR: ['bad..example.org'] } });
  assert.deepEqual((answer.result as { findings: unknown }).findings, ['unconfirmedReverse']);
});

test('what is off is not found, and asks nothing', async () => {
  const options = { noReverse: 'off', unconfirmedReverse: 'off', noDot: 'off' };
  const { answer } = await mailFrom(helo('localhost'), { [reverse]: { PTR: 'SERVFAIL' } }, options);
  assert.deepEqual(answer.result, { findings: [] });
});

const unchecked: readonly TestInput[] = [
  { connection: { trusted: true } },
  { connection: { door: 'submission' } },
  { connection: { remoteIp: '' } },
  { session: { helo: 'mx.example.test', user: 'ann@example.test' } },
];
for (const input of unchecked) {
  test(`not checked: ${JSON.stringify(input)}`, async () => {
    assert.deepEqual((await mailFrom({ ...helo('mx.example.test'), ...input })).answer, {});
  });
}
