/** dnsbl: what counts as listed, what each action does, and that a list out of order is never a pass. RFC 5782. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TestSetup, type TestZone, testDns, testPlugin } from 'mailfilter/testing';
import dnsbl from '../../plugins/dnsbl/index.ts';
import { shortReason } from '../../plugins/dnsbl/reason.ts';

const listed: TestZone = {
  '1.2.0.192.bl.test': { A: ['127.0.0.2'], TXT: ['see https://bl.test/192.0.2.1'] },
  '1.2.0.192.combined.test': { A: ['127.0.0.4', '127.0.0.10'] },
  '1.2.0.192.parked.test': { A: ['203.0.113.80'] },
  '1.2.0.192.refusing.test': { A: ['127.255.255.254'] },
  '1.2.0.192.broken.test': { A: 'SERVFAIL' },
  '1.2.0.192.slow.test': { A: 'TIMEOUT' },
  '1.2.0.192.world.test': { A: ['127.0.0.2'] },
  '1.0.0.127.world.test': { A: ['127.0.0.2'] },
  '1.2.0.192.quiet.test': { A: ['127.0.0.2'], TXT: 'SERVFAIL' },
  [`1.0.0.0.${'0.'.repeat(20)}8.b.d.0.1.0.0.2.bl.test`]: { A: ['127.0.0.3'] },
  [`1.0.0.0.${'0.'.repeat(20)}8.b.d.0.1.0.0.2.world.test`]: { A: ['127.0.0.3'] },
  [`1.0.0.0.0.0.f.7.f.f.f.f.${'0.'.repeat(19)}0.world.test`]: { A: ['127.0.0.3'] },
};

type Options = NonNullable<TestSetup['options']>;

function connect(options: Options, connection: { remoteIp?: string; trusted?: boolean } = {}, dns = listed) {
  return testPlugin(dnsbl, { options, dns }).connect({ connection });
}

const verdicts: readonly [name: string, options: Options, want: string, ip?: string][] = [
  [
    'listed',
    { zones: ['bl.test'] },
    'client [192.0.2.1] is listed by bl.test: see https://bl.test/192.0.2.1',
  ],
  [
    'listed, reason kept back',
    { zones: ['bl.test'], showReason: false },
    'client [192.0.2.1] is listed by bl.test',
  ],
  ['listed, reason not to be had', { zones: ['quiet.test'] }, 'client [192.0.2.1] is listed by quiet.test'],
  [
    'name with a dot and capitals',
    { zones: ['BL.test.'], showReason: false },
    'client [192.0.2.1] is listed by bl.test',
  ],
  ['not listed', { zones: ['bl.test'] }, '', '192.0.2.2'],
  [
    'the first that refuses is told',
    { zones: ['none.test', 'combined.test', 'bl.test'] },
    'client [192.0.2.1] is listed by combined.test',
  ],
  [
    'an answer that counts',
    { zones: [{ zone: 'combined.test', answers: ['127.0.0.10'] }] },
    'client [192.0.2.1] is listed by combined.test',
  ],
  [
    'a network of answers',
    { zones: [{ zone: 'combined.test', answers: ['127.0.0.4/31'] }] },
    'client [192.0.2.1] is listed by combined.test',
  ],
  [
    'an answer that does not count',
    { zones: [{ zone: 'combined.test', answers: ['127.0.0.2', '127.0.0.12/30'] }] },
    '',
  ],
  ['a parked zone', { zones: ['parked.test'] }, ''],
  ['IPv6', { zones: ['bl.test'] }, 'client [2001:db8::1] is listed by bl.test', '2001:db8::1'],
  [
    'IPv4 mapped into IPv6',
    { zones: ['bl.test'], showReason: false },
    'client [::ffff:192.0.2.1] is listed by bl.test',
    '::ffff:192.0.2.1',
  ],
  [
    'a zone that lists the world, untested',
    { zones: ['world.test'], testPoints: false },
    'client [192.0.2.1] is listed by world.test',
  ],
  [
    'another zone refuses though one is broken',
    { zones: ['broken.test', 'bl.test'], showReason: false },
    'client [192.0.2.1] is listed by bl.test',
  ],
];
for (const [name, options, want, remoteIp] of verdicts) {
  test(`dnsbl: ${name}`, async () => {
    const { verdict } = await connect(options, remoteIp === undefined ? {} : { remoteIp });
    if (want === '') assert.equal(verdict.action, 'continue');
    else assert.deepEqual(verdict, { action: 'reject', code: 554, enhanced: '5.7.1', text: want });
  });
}

const failures: readonly [name: string, zones: Options['zones'], want: RegExp, ip?: string][] = [
  ['SERVFAIL', ['broken.test'], /servfail/],
  ['timeout', ['slow.test'], /timeout/],
  ['an error code', ['refusing.test'], /refusing.test refuses to answer \(127.255.255.254\)/],
  ['a zone that lists the world', ['world.test'], /world.test lists its own test point/],
  ['a zone that lists the world of IPv6', ['world.test'], /lists its own test point/, '2001:db8::1'],
  ['one of several, none refuses', ['none.test', 'broken.test'], /servfail/],
  ['one of several, another scores', ['broken.test', { zone: 'bl.test', action: 'score' }], /servfail/],
];
for (const [name, zones, want, remoteIp] of failures) {
  test(`dnsbl fails: ${name}`, async () => {
    await assert.rejects(connect({ zones: zones! }, remoteIp === undefined ? {} : { remoteIp }), want);
  });
}

test('dnsbl: scores add up, and every hit stands in the result', async () => {
  const { verdict, answer } = await connect({
    zones: [
      { zone: 'bl.test', score: 1.5 },
      'combined.test',
      { zone: 'none.test', score: 9 },
      { zone: 'world.test', action: 'mark' },
    ],
    action: 'score',
    score: 2,
    testPoints: false,
  });
  assert.equal(verdict.action, 'continue');
  assert.equal(answer.score, 3.5);
  assert.deepEqual(answer.symbols, [
    { name: 'DNSBL_BL_TEST', score: 1.5 },
    { name: 'DNSBL_COMBINED_TEST', score: 2 },
  ]);
  assert.deepEqual(answer.result, {
    listed: [
      { zone: 'bl.test', answers: ['127.0.0.2'], action: 'score' },
      { zone: 'combined.test', answers: ['127.0.0.4', '127.0.0.10'], action: 'score' },
      { zone: 'world.test', answers: ['127.0.0.2'], action: 'mark' },
    ],
  });
});

test('dnsbl: a refusal carries all hits too', async () => {
  const { answer, log } = await connect({ zones: ['bl.test', { zone: 'combined.test', action: 'mark' }] });
  assert.equal((answer.result as { listed: unknown[] }).listed.length, 2);
  assert.deepEqual(
    log.map(({ event }) => event),
    ['listed', 'listed'],
  );
});

const everyone: TestZone = Object.fromEntries(
  ['10.1.2.3', '127.0.0.1', '172.31.0.1', '192.168.0.1', '100.64.0.1', '169.254.1.1'].map((ip) => [
    `${ip.split('.').reverse().join('.')}.bl.test`,
    { A: ['127.0.0.2'] },
  ]),
);
const skipped: readonly [name: string, connection: { remoteIp?: string; trusted?: boolean }][] = [
  ['10/8', { remoteIp: '10.1.2.3' }],
  ['loopback', { remoteIp: '127.0.0.1' }],
  ['172.16/12', { remoteIp: '172.31.0.1' }],
  ['192.168/16', { remoteIp: '192.168.0.1' }],
  ['100.64/10', { remoteIp: '100.64.0.1' }],
  ['link-local', { remoteIp: '169.254.1.1' }],
  ['private, mapped into IPv6', { remoteIp: '::ffff:10.1.2.3' }],
  ['IPv6 loopback', { remoteIp: '::1' }],
  ['IPv6 unique local', { remoteIp: 'fd00::1' }],
  ['IPv6 link-local', { remoteIp: 'fe80::1' }],
  ['a unix socket', { remoteIp: '' }],
  ['a trusted client', { remoteIp: '192.0.2.1', trusted: true }],
];
for (const [name, connection] of skipped) {
  test(`dnsbl does not ask about ${name}`, async () => {
    let asked = 0;
    const dns = testDns({ ...everyone, ...listed });
    const counting = {
      ...dns,
      a(zone: string) {
        asked += 1;
        return dns.a(zone);
      },
    };
    const plugin = testPlugin(dnsbl, { options: { zones: ['bl.test', 'broken.test'] }, dns: counting });
    assert.equal((await plugin.connect({ connection })).verdict.action, 'continue');
    assert.equal(asked, 0);
  });
}

test('dnsbl: private addresses are asked about where that is wanted', async () => {
  const options = { zones: ['bl.test'], skipPrivate: false, testPoints: false };
  assert.equal((await connect(options, { remoteIp: '10.1.2.3' }, everyone)).verdict.action, 'reject');
});

test('dnsbl: all zones are asked at once', async () => {
  const waiting: (() => void)[] = [];
  const dns = testDns({});
  const a = (): Promise<string[]> =>
    new Promise((resolve) => {
      waiting.push(() => resolve([]));
      if (waiting.length === 3) for (const go of waiting) go();
    });
  const plugin = testPlugin(dnsbl, {
    options: { zones: ['a.test', 'b.test', 'c.test'] },
    dns: { ...dns, a },
    timeoutSeconds: 2,
  });
  assert.equal((await plugin.connect()).verdict.action, 'continue');
});

const wrongOptions: readonly [name: string, options: Options, want: RegExp][] = [
  ['no zones', {}, /"zones" is missing/],
  ['a misspelt key', { zones: [{ zone: 'bl.test', anwsers: ['127.0.0.2'] }] }, /anwsers/],
  ['a zone that is no name', { zones: ['bl test'] }, /zones\/0/],
  ['an unknown action', { zones: ['bl.test'], action: 'drop' }, /action/],
  [
    'an answer outside 127/8',
    { zones: [{ zone: 'bl.test', answers: ['128.0.0.2'] }] },
    /bl.test: "128.0.0.2" is no answer/,
  ],
  [
    'an answer with a wrong length',
    { zones: [{ zone: 'bl.test', answers: ['127.0.0.2/33'] }] },
    /is no answer/,
  ],
];
for (const [name, options, want] of wrongOptions) {
  test(`dnsbl refuses options: ${name}`, async () => {
    await assert.rejects(async () => connect(options), want);
  });
}

const reasons: readonly [name: string, records: readonly string[], want: string | undefined][] = [
  ['short', [' listed '], 'listed'],
  ['none', [], undefined],
  ['empty', [''], undefined],
  ['too long', ['x'.repeat(201)], undefined],
  ['line end', ['a\r\n250 ok'], undefined],
  ['beyond US-ASCII', ['gelistet ü'], undefined],
  ['the first that fits', ['x'.repeat(300), 'listed'], 'listed'],
];
for (const [name, records, want] of reasons) {
  test(`dnsbl reason: ${name}`, () => assert.equal(shortReason(records), want));
}
