/** dnsbl: what counts as listed, what each action does, and that a list out of order is never a pass. RFC 5782. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TestSetup, type TestZone, testDns, testPlugin } from 'mailfilter/testing';
import { systemClock } from '../../core/base/clock.ts';
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
    options: { zones: ['a.test', 'b.test', 'c.test'], testPoints: false },
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
    'a code that says nothing',
    { zones: [{ zone: 'bl.test', codes: [{ name: 'X' }] }] },
    /code X: either answers or mask/,
  ],
  [
    'codes beside answers',
    { zones: [{ zone: 'bl.test', answers: ['127.0.0.2'], codes: [{ name: 'X', mask: 2 }] }] },
    /exclude each other/,
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

/** Two lists of addresses with codes, an allow list with levels of trust, and two lists of domains. */
const graded: TestZone = {
  '1.2.0.192.codes.test': { A: ['127.0.0.4', '127.0.0.11'] },
  '1.2.0.192.bits.test': { A: ['127.0.0.6'] },
  '1.2.0.192.bl.test': { A: ['127.0.0.2'] },
  '1.2.0.192.good.test': { A: ['127.0.5.2'], TXT: ['good.example https://good.test/1'] },
  '2.2.0.192.good.test': { A: ['127.0.5.0'] },
  '3.2.0.192.good.test': { A: ['127.0.0.255'] },
  '4.2.0.192.good.test': { A: 'SERVFAIL' },
  '1.2.0.192.plain-good.test': { A: ['127.0.0.2'] },
  '1.2.0.192.in-addr.arpa': { PTR: ['mail.bad.example', 'forged.good.example'] },
  'mail.bad.example': { A: ['192.0.2.1'] },
  'forged.good.example': { A: ['203.0.113.1'] },
  'bad.example.domains.test': { A: ['127.0.1.2'], TXT: ['spam domain'] },
  'helo.bad.example.domains.test': { A: ['127.0.1.2'] },
  'xn--bcher-kva.example.domains.test': { A: ['127.0.1.2'] },
  'bad.example.wild.test': { A: ['127.0.1.2'] },
  'invalid.wild.test': { A: ['127.0.1.2'] },
};
const codes = [
  { name: 'SBL', answers: ['127.0.0.2'], score: 5 },
  { name: 'XBL', answers: ['127.0.0.4/30'], score: 4 },
  { name: 'PBL', answers: ['127.0.0.10', '127.0.0.11'], score: 1.5 },
];

const points: readonly [name: string, zone: object, want: Record<string, number>, ip?: string][] = [
  [
    'each code that matches has its own points',
    { zone: 'codes.test', codes, action: 'score' },
    { DNSBL_CODES_TEST_XBL: 4, DNSBL_CODES_TEST_PBL: 1.5 },
  ],
  [
    'bits of the answer',
    {
      zone: 'bits.test',
      action: 'score',
      score: 1,
      codes: [
        { name: 'TWO', mask: 2 },
        { name: 'FOUR', mask: 4, score: 2 },
        { name: 'EIGHT', mask: 8 },
      ],
    },
    { DNSBL_BITS_TEST_TWO: 1, DNSBL_BITS_TEST_FOUR: 2 },
  ],
  ['a level of trust', { zone: 'good.test', trust: 1 }, { DNSBL_GOOD_TEST_MEDIUM: -2.3 }],
  ['no trust', { zone: 'good.test', trust: 1 }, { DNSBL_GOOD_TEST_NONE: 0 }, '192.0.2.2'],
  ['an allow list', { zone: 'plain-good.test', action: 'allow', score: -2 }, { DNSBL_PLAIN_GOOD_TEST: -2 }],
  [
    'an allow list takes the points off',
    { zone: 'plain-good.test', action: 'allow' },
    { DNSBL_PLAIN_GOOD_TEST: -3 },
  ],
];
for (const [name, zone, want, remoteIp = '192.0.2.1'] of points) {
  test(`dnsbl points: ${name}`, async () => {
    const { answer, verdict } = await connect({ zones: [zone as never] }, { remoteIp }, graded);
    assert.equal(verdict.action, 'continue');
    assert.deepEqual(Object.fromEntries((answer.symbols ?? []).map((each) => [each.name, each.score])), want);
  });
}

test('dnsbl: one code refuses, others score', async () => {
  const zone = {
    zone: 'codes.test',
    action: 'score',
    codes: [codes[2]!, { ...codes[1]!, action: 'reject' }],
  };
  const { answer, verdict } = await connect({ zones: [zone] }, {}, graded);
  assert.equal(verdict.action, 'reject');
  assert.deepEqual(answer.result, {
    listed: [
      { zone: 'codes.test', answers: ['127.0.0.4', '127.0.0.11'], action: 'reject', codes: ['PBL', 'XBL'] },
    ],
  });
});

test('dnsbl: a client that an allow list vouches for is not refused', async () => {
  const zones = ['bl.test', { zone: 'good.test', trust: 2 }];
  const { answer, verdict } = await connect({ zones }, {}, graded);
  assert.equal(verdict.action, 'continue');
  assert.deepEqual((answer.result as { allowed: unknown }).allowed, ['good.test']);
  assert.deepEqual(answer.auth, [
    {
      method: 'dnswl',
      result: 'pass',
      properties: {
        'dns.zone': 'good.test',
        'policy.ip': '127.0.5.2',
        'policy.txt': 'good.example https://good.test/1',
      },
    },
  ]);
});

test('dnsbl: too little trust does not keep a client from being refused', async () => {
  const { verdict } = await connect({ zones: ['bl.test', { zone: 'good.test', trust: 3 }] }, {}, graded);
  assert.equal(verdict.action, 'reject');
});

const spoken: readonly [name: string, ip: string, want: string][] = [
  ['none', '192.0.2.9', 'none'],
  ['permerror, over quota', '192.0.2.3', 'permerror'],
  ['temperror', '192.0.2.4', 'temperror'],
];
for (const [name, remoteIp, want] of spoken) {
  test(`dnsbl tells of an allow list: ${name}`, async () => {
    const zones = [{ zone: 'good.test', trust: 1, onFailure: 'continue' }];
    const { answer } = await connect({ zones }, { remoteIp }, graded);
    assert.deepEqual(answer.auth, [
      { method: 'dnswl', result: want, properties: { 'dns.zone': 'good.test' } },
    ]);
  });
}

test('dnsbl: an allow list that cannot be asked might have vouched: the policy decides, not another list', async () => {
  const zones = ['bl.test', { zone: 'good.test', trust: 1 }];
  const dns = { ...graded, '4.2.0.192.bl.test': { A: ['127.0.0.2'] } };
  await assert.rejects(connect({ zones }, { remoteIp: '192.0.2.4' }, dns), /servfail/);
});

const left: readonly [name: string, zone: string][] = [
  ['dead', 'broken.test'],
  ['slow', 'slow.test'],
  ['refusing', 'refusing.test'],
  ['listing the world', 'world.test'],
];
for (const [name, zone] of left) {
  test(`dnsbl goes on without a list that is ${name}, and says so`, async () => {
    const zones = [
      { zone, onFailure: 'continue' },
      { zone: 'bl.test', action: 'score' },
    ];
    const { answer, log } = await connect({ zones });
    assert.deepEqual((answer.result as { failed: unknown }).failed, [zone]);
    assert.equal(answer.score, 3);
    assert.ok(log.some(({ event, facts }) => event === 'list-failed' && facts?.zone === zone));
  });
}

test('dnsbl: a list that never answers is waited for no longer than it may take', async () => {
  const dns = { ...testDns(listed), a: () => new Promise<string[]>(() => {}) };
  const zones = [{ zone: 'silent.test', onFailure: 'continue' }];
  const { answer } = await testPlugin(dnsbl, {
    options: { zones, listTimeoutSeconds: 0.05 },
    dns,
    timeoutSeconds: 30,
  }).connect();
  assert.deepEqual(answer.result, { listed: [], failed: ['silent.test'] });
});

test('dnsbl says once an hour which list lists nothing, not even its test entry', async () => {
  let now = 0;
  const dns = { '2.0.0.127.alive.test': { A: ['127.0.0.2'] } };
  const plugin = testPlugin(dnsbl, {
    options: { zones: ['alive.test', 'empty.test'] },
    dns,
    clock: { ...systemClock, now: () => now },
  });
  const suspects = async () =>
    (await plugin.connect()).log
      .filter(({ event }) => event === 'list-suspect')
      .map(({ facts }) => facts?.zone);
  assert.deepEqual(await suspects(), ['empty.test']);
  assert.deepEqual(await suspects(), []);
  now += 3_601_000;
  assert.deepEqual(await suspects(), ['empty.test']);
});

const domains: readonly [name: string, asks: string, input: object, want: string][] = [
  [
    'sender domain',
    'sender',
    { sender: 'a@bad.example' },
    'sender domain bad.example is listed by domains.test: spam domain',
  ],
  [
    'sender below a listed domain',
    'sender',
    { sender: 'a@x.y.bad.example' },
    'sender domain bad.example is listed by domains.test: spam domain',
  ],
  [
    'international sender domain',
    'sender',
    { sender: 'a@bücher.example' },
    'sender domain xn--bcher-kva.example is listed by domains.test',
  ],
  ['null sender', 'sender', { sender: '' }, ''],
  ['literal sender', 'sender', { sender: 'a@[192.0.2.1]' }, ''],
  [
    'HELO name',
    'helo',
    { session: { helo: 'HELO.bad.example' } },
    'HELO name helo.bad.example is listed by domains.test',
  ],
  ['HELO literal', 'helo', { session: { helo: '[192.0.2.1]' } }, ''],
  ['HELO without a dot', 'helo', { session: { helo: 'localhost' } }, ''],
  ['confirmed client name', 'reverse', {}, 'client name bad.example is listed by domains.test: spam domain'],
  ['not asked', 'address', { sender: 'a@bad.example' }, ''],
  ['an authenticated user', 'sender', { sender: 'a@bad.example', session: { user: 'a@bad.example' } }, ''],
  ['a trusted client', 'helo', { session: { helo: 'helo.bad.example' }, connection: { trusted: true } }, ''],
];
for (const [name, ask, input, want] of domains) {
  test(`dnsbl of domains: ${name}`, async () => {
    const plugin = testPlugin(dnsbl, {
      options: { zones: [{ zone: 'domains.test', asks: [ask] }] },
      dns: graded,
    });
    const { verdict } = await plugin.mailFrom(input);
    if (want === '') assert.equal(verdict.action, 'continue');
    else assert.deepEqual(verdict, { action: 'reject', code: 554, enhanced: '5.7.1', text: want });
  });
}

test('dnsbl of domains: a list that lists "invalid" lists everything', async () => {
  const options = { zones: [{ zone: 'wild.test', asks: ['sender'] }] };
  const plugin = testPlugin(dnsbl, { options, dns: graded });
  await assert.rejects(plugin.mailFrom({ sender: 'a@bad.example' }), /lists its own test point/);
});

test('dnsbl of domains: what was found of the address stays, and vouches', async () => {
  const options = {
    zones: [{ zone: 'domains.test', asks: ['sender', 'helo'] }],
  };
  const plugin = testPlugin(dnsbl, { options, dns: graded });
  const results = { dnsbl: { listed: [{ zone: 'bl.test' }], allowed: ['good.test'] } };
  const { verdict, answer } = await plugin.mailFrom({ sender: 'a@bad.example', results });
  assert.equal(verdict.action, 'continue');
  assert.deepEqual(answer.result, {
    listed: [
      { zone: 'bl.test' },
      { zone: 'domains.test', answers: ['127.0.1.2'], action: 'reject', ask: 'sender', of: 'bad.example' },
    ],
    allowed: ['good.test'],
  });
});

test('dnsbl: an answer that the config names is no refusal', async () => {
  const zone = { zone: 'own.test', answers: ['127.0.0.1'], action: 'score' };
  const dns = { '1.2.0.192.own.test': { A: ['127.0.0.1'] } };
  assert.equal((await connect({ zones: [zone] }, {}, dns)).answer.score, 3);
});

test('dnsbl: a domain that several names share counts once, each ask for itself', async () => {
  const options = { zones: [{ zone: 'domains.test', asks: ['sender', 'helo'], action: 'score' }] };
  const plugin = testPlugin(dnsbl, { options, dns: graded });
  const { answer } = await plugin.mailFrom({
    sender: 'a@x.bad.example',
    session: { helo: 'helo.bad.example' },
  });
  assert.deepEqual(answer.symbols, [
    { name: 'DNSBL_DOMAINS_TEST_HELO', score: 3 },
    { name: 'DNSBL_DOMAINS_TEST_SENDER', score: 3 },
  ]);
});
