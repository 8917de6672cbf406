/** spf: what each result does, whom it is not asked of, and that a failure of DNS is never a pass. RFC 7208. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TestInput, type TestSetup, testPlugin } from 'mailfilter/testing';
import spf from '../../plugins/spf/index.ts';

const dns = {
  'example.org': { TXT: ['v=spf1 ip4:192.0.2.1 -all exp=why.example.org'] },
  'why.example.org': { TXT: ['ask %{s}'] },
  'soft.example': { TXT: ['v=spf1 ~all'] },
  'bad.example': { TXT: ['v=spf1 nonsense'] },
  'down.example': { TXT: 'SERVFAIL' as const },
  'client.example.org': { TXT: ['v=spf1 ip4:192.0.2.1 -all'] },
  'forged.example': { TXT: ['v=spf1 -all'] },
};
type Options = NonNullable<TestSetup['options']>;
const mailFrom = (options: Options, input: TestInput) => testPlugin(spf, { options, dns }).mailFrom(input);
const from = (sender: string, ip = '192.0.2.1', helo = 'client.example.org'): TestInput => ({
  sender,
  connection: { remoteIp: ip },
  session: { helo },
});

test('a pass is noted, in both fields and for later plugins', async () => {
  const { verdict, answer, message, edits } = await mailFrom({}, from('ann@example.org'));
  assert.equal(verdict.action, 'continue');
  assert.equal(message, '');
  assert.deepEqual(answer.auth, [
    { method: 'spf', result: 'pass', properties: { 'smtp.mailfrom': 'ann@example.org' } },
    { method: 'spf', result: 'pass', properties: { 'smtp.helo': 'client.example.org' } },
  ]);
  assert.deepEqual(answer.result, {
    result: 'pass',
    domain: 'example.org',
    mechanism: 'ip4:192.0.2.1',
    helo: { result: 'pass', domain: 'client.example.org' },
  });
  const [edit] = edits;
  assert.ok(edit?.type === 'insertHeader' && edit.name === 'Received-SPF');
  assert.match(edit.value, /^pass\r\n\tclient-ip=192\.0\.2\.1;\r\n\tenvelope-from="ann@example\.org";/);
});

const verdicts: readonly [name: string, options: Options, input: TestInput, want: string][] = [
  ['fail is only noted', {}, from('ann@example.org', '192.0.2.2'), ''],
  [
    'fail refused, with the words of the domain',
    { fail: 'reject' },
    from('ann@example.org', '192.0.2.2'),
    '550 5.7.23 [192.0.2.2] may not send mail for example.org; example.org explains: ask ann@example.org',
  ],
  [
    'fail refused, without them',
    { fail: 'reject', explanation: false },
    from('ann@example.org', '192.0.2.2'),
    '550 5.7.23 [192.0.2.2] may not send mail for example.org',
  ],
  [
    'softfail refused',
    { softfail: 'reject' },
    from('a@soft.example'),
    '550 5.7.23 [192.0.2.1] may not send mail for soft.example',
  ],
  [
    'permerror refused',
    { permerror: 'reject' },
    from('a@bad.example'),
    '550 5.7.24 SPF record of bad.example cannot be used: bad.example: "nonsense" is no term',
  ],
  [
    'a forged HELO refused',
    { heloFail: 'reject' },
    from('ann@example.org', '192.0.2.1', 'forged.example'),
    '550 5.7.23 [192.0.2.1] may not send mail for forged.example',
  ],
  [
    'HELO not asked',
    { heloFail: 'reject', helo: false },
    from('ann@example.org', '192.0.2.1', 'forged.example'),
    '',
  ],
  [
    'the null sender has a HELO name',
    { fail: 'reject' },
    from('', '192.0.2.1', 'forged.example'),
    '550 5.7.23 [192.0.2.1] may not send mail for forged.example',
  ],
];
for (const [name, options, input, want] of verdicts) {
  test(name, async () => {
    const { verdict } = await mailFrom(options, input);
    const text = verdict.action === 'reject' ? `${verdict.code} ${verdict.enhanced} ${verdict.text}` : '';
    assert.equal(text, want);
  });
}

test('points', async () => {
  const options = { fail: 'score', softfail: 'score', failScore: 4, heloFail: 'score' };
  const failed = await mailFrom(options, from('ann@example.org', '192.0.2.2', 'forged.example'));
  assert.deepEqual(failed.answer.symbols, [
    { name: 'SPF_FAIL', score: 4 },
    { name: 'SPF_HELO_FAIL', score: 4 },
  ]);
  const soft = await mailFrom(options, from('a@soft.example'));
  assert.deepEqual(soft.answer.symbols, [{ name: 'SPF_SOFTFAIL', score: 1 }]);
});

test('a failure of DNS is a failure of the plugin, or a temperror that is noted', async () => {
  await assert.rejects(
    mailFrom({}, from('a@down.example')),
    /SPF of down\.example: DNS TXT down\.example: servfail/,
  );
  const { verdict, answer } = await mailFrom({ temperror: 'mark', fail: 'reject' }, from('a@down.example'));
  assert.equal(verdict.action, 'continue');
  assert.equal(answer.auth![0]!.result, 'temperror');
});

test('DNS that never answers is a temperror in time', async () => {
  const never = () => new Promise<never>(() => {});
  const silent = {
    a: never,
    aaaa: never,
    txt: never,
    mx: never,
    ptr: never,
    ns: never,
    cname: never,
    srv: never,
    exists: never,
  };
  const tested = testPlugin(spf, { options: { temperror: 'mark', dnsSeconds: 0.1 }, dns: silent });
  const { answer } = await tested.mailFrom(from('ann@example.org'));
  assert.equal(answer.auth![0]!.result, 'temperror');
});

test('own users, trusted networks and clients without an address are not asked about', async () => {
  for (const input of [
    { ...from('ann@example.org', '192.0.2.2'), session: { user: 'ann@example.org' } },
    { ...from('ann@example.org'), connection: { remoteIp: '192.0.2.2', trusted: true } },
    from('ann@example.org', ''),
    { ...from('ann@example.org'), connection: { door: 'lmtp' as const, remoteIp: '127.0.0.1' } },
    { ...from('ann@example.org'), connection: { door: 'submission' as const } },
  ]) {
    assert.deepEqual((await mailFrom({ fail: 'reject' }, input)).answer, {});
  }
});

test('what a client says cannot look like a result', async () => {
  const { answer, edits } = await mailFrom(
    {},
    from('"a;dkim=pass"@example.org', '192.0.2.1', 'x\r\nX-Evil: 1'),
  );
  assert.equal(
    answer.auth!.every(({ properties }) => !JSON.stringify(properties).includes('\\n')),
    true,
  );
  assert.ok(edits[0]!.type === 'insertHeader' && !/\n[^\t]/.test(edits[0]!.value));
});
