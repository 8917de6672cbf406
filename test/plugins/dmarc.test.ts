/** dmarc: what each policy does, who overrides it, and what reports hold. RFC 9989, RFC 9990. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gatherReports } from 'mailfilter/auth';
import { type TestInput, type TestSetup, testPlugin } from 'mailfilter/testing';
import dmarc from '../../plugins/dmarc/index.ts';

const policy = (text: string) => ({ TXT: [text] });
const dns = {
  '_dmarc.reject.test': policy('v=DMARC1; p=reject; rua=mailto:reports@reject.test'),
  '_dmarc.quarantine.test': policy('v=DMARC1; p=quarantine'),
  '_dmarc.none.test': policy('v=DMARC1; p=none'),
  '_dmarc.part.test': policy('v=DMARC1; p=reject; pct=0'),
  '_dmarc.down.test': 'SERVFAIL' as const,
};
type Options = NonNullable<TestSetup['options']>;
const mail = (from: string): TestInput => ({ message: `From: ${from}\nSubject: hello\n\nHello.\n` });
/** What the verifiers before it leave where nothing passes. */
const nothing = { spf: { domain: 'evil.test', result: 'none' }, 'dkim-verify': { signatures: [] } };
const judge = (options: Options, input: TestInput) =>
  testPlugin(dmarc, { options, dns }).message({ ...input, results: { ...nothing, ...input.results } });
const signed = (domain: string, result = 'pass') => ({
  'dkim-verify': { signatures: [{ domain, selector: 's', result }] },
});
const sent = (domain: string, result = 'pass') => ({ spf: { domain, result } });

/** Verdict, what was done, and the override. */
async function outcome(options: Options, input: TestInput): Promise<string> {
  const { verdict, answer } = await judge(options, input);
  const { disposition, override } = answer.result as { disposition: string; override?: string };
  return [verdict.action, answer.auth![0]!.result, disposition, override].filter(Boolean).join(' ');
}

const cases: readonly [name: string, input: TestInput, want: string, options?: Options][] = [
  ['reject', mail('a@reject.test'), 'reject fail reject'],
  ['reject, only noted', mail('a@reject.test'), 'continue fail none', { reject: 'mark' }],
  ['reject, into Junk', mail('a@reject.test'), 'continue fail quarantine', { reject: 'quarantine' }],
  ['quarantine into Junk', mail('a@quarantine.test'), 'continue fail quarantine'],
  ['quarantine, held', mail('a@quarantine.test'), 'quarantine fail quarantine', { quarantine: 'hold' }],
  ['quarantine, only noted', mail('a@quarantine.test'), 'continue fail none', { quarantine: 'mark' }],
  ['none', mail('a@none.test'), 'continue fail none'],
  ['no policy', mail('a@nothing.test'), 'continue none none'],
  ['signed', { ...mail('a@reject.test'), results: signed('reject.test') }, 'continue pass none'],
  [
    'signed by a subdomain',
    { ...mail('a@reject.test'), results: signed('mail.reject.test') },
    'continue pass none',
  ],
  ['sent from there', { ...mail('a@reject.test'), results: sent('reject.test') }, 'continue pass none'],
  [
    'another domain passes',
    { ...mail('a@reject.test'), results: { ...signed('evil.test'), ...sent('evil.test') } },
    'reject fail reject',
  ],
  [
    'a known list',
    { ...mail('a@reject.test'), results: signed('lists.test') },
    'continue fail none mailing_list',
    { lists: ['lists.test'] },
  ],
  [
    'a known forwarder',
    mail('a@reject.test'),
    'continue fail none trusted_forwarder',
    { forwarders: ['192.0.2.0/28'] },
  ],
  [
    'a trusted chain',
    { ...mail('a@reject.test'), results: { arc: { trusted: true, dmarc: 'pass' } } },
    'continue fail none local_policy',
  ],
  [
    'a chain that nobody trusts',
    { ...mail('a@reject.test'), results: { arc: { trusted: false, dmarc: 'pass' } } },
    'reject fail reject',
  ],
  [
    'a trusted chain that failed before',
    { ...mail('a@reject.test'), results: { arc: { trusted: true, dmarc: 'fail' } } },
    'reject fail reject',
  ],
  [
    'two authors, one of them forged',
    { ...mail('a@evil.test, b@reject.test'), results: signed('evil.test') },
    'reject fail reject',
  ],
  [
    'two From fields, one of them forged',
    { message: 'From: a@none.test\nFrom: b@reject.test\n\nx\n' },
    'reject fail reject',
  ],
  ['no From', { message: 'Subject: x\n\nx\n' }, 'continue none none'],
  ['a From that names nobody', mail('nobody'), 'continue permerror quarantine'],
  [
    'a From that names nobody, refused',
    mail('nobody'),
    'reject permerror reject',
    { unreadableFrom: 'reject' },
  ],
  [
    'authors of six domains',
    mail('a@a.test, a@b.test, a@c.test, a@d.test, a@e.test, a@f.test'),
    'continue permerror quarantine',
  ],
  [
    'a client that nobody knows',
    { ...mail('a@reject.test'), connection: { remoteIp: '' } },
    'continue fail none',
  ],
  [
    'behind an MTA that does not name its client',
    { ...mail('a@reject.test'), connection: { door: 'lmtp', remoteIp: '127.0.0.1' } },
    'continue fail none',
  ],
  ['pct of the older way', mail('a@part.test'), 'continue fail quarantine', { mode: 'rfc7489' }],
  ['pct means nothing any more', mail('a@part.test'), 'reject fail reject'],
];
for (const [name, input, want, options = {}] of cases) {
  test(name, async () => assert.equal(await outcome(options, input), want));
}

test('a refusal says whose policy it is', async () => {
  const { verdict } = await judge({}, mail('a@reject.test'));
  assert.ok(verdict.action === 'reject' && verdict.enhanced === '5.7.26');
  assert.equal(verdict.text, 'refused by the DMARC policy of reject.test');
});

test('a failure of DNS is a failure of the plugin, or noted', async () => {
  await assert.rejects(judge({}, mail('a@down.test')), /DMARC of down\.test/);
  assert.equal(await outcome({ temperror: 'mark' }, mail('a@down.test')), 'continue temperror none');
  // Where the policy is none nothing hangs on it.
  const unsure = { ...mail('a@none.test'), results: sent('none.test', 'temperror') };
  assert.equal(await outcome({}, unsure), 'continue temperror none');
  await assert.rejects(
    judge({}, { ...mail('a@reject.test'), results: sent('reject.test', 'temperror') }),
    /DMARC of/,
  );
});

test('without spf and dkim-verify before it nothing is known, and nothing is refused for that', async () => {
  const alone = testPlugin(dmarc, { dns });
  await assert.rejects(
    alone.message(mail('a@reject.test')),
    /DMARC of reject\.test: SPF or DKIM has no result/,
  );
  await assert.rejects(
    alone.message({ ...mail('a@reject.test'), results: { spf: nothing.spf } }),
    /DMARC of/,
  );
  const marked = testPlugin(dmarc, { dns, options: { temperror: 'mark' } });
  const { answer } = await marked.message(mail('a@reject.test'));
  assert.equal(answer.auth![0]!.result, 'temperror');
  const passed = await alone.message({ ...mail('a@reject.test'), results: signed('reject.test') });
  assert.equal(passed.answer.auth![0]!.result, 'pass');
});

test('own users are not judged', async () => {
  for (const input of [{ session: { user: 'a@reject.test' } }, { connection: { trusted: true } }]) {
    assert.deepEqual((await judge({}, { ...mail('a@reject.test'), ...input })).answer, {});
  }
});

test('reports: each kind of message is a row with its count, of domains that ask for them', async () => {
  const at = Date.parse('2026-11-21T23:59:00Z');
  const clock = { now: () => at, monotonicMs: () => performance.now() };
  const tested = testPlugin(dmarc, { options: { reports: true }, dns, clock });
  await tested.message({
    ...mail('a@reject.test'),
    sender: 'x@evil.test',
    results: { ...signed('evil.test'), ...sent('evil.test') },
  });
  await tested.message({
    ...mail('a@reject.test'),
    sender: 'x@evil.test',
    results: { ...signed('evil.test'), ...sent('evil.test') },
  });
  await tested.message({ ...mail('a@reject.test'), results: signed('reject.test') });
  await tested.message({ ...mail('a@quarantine.test'), results: nothing });
  const reports = await gatherReports(tested.state);
  assert.equal(reports.length, 1);
  const [report] = reports;
  assert.equal(report!.day, '2026-11-21');
  assert.deepEqual(report!.reportTo, ['reports@reject.test']);
  assert.equal(report!.policy.domain, 'reject.test');
  assert.deepEqual(
    report!.rows
      .map(({ count, disposition, dkimAligned }) => `${count} ${disposition} ${dkimAligned}`)
      .sort(),
    ['1 pass true', '2 reject false'],
  );
  assert.deepEqual(await gatherReports(tested.state, '2026-11-20'), []);
});
