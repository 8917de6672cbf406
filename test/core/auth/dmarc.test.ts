/** DMARC: records, the walk up the tree, alignment, policy, and the public suffix list of the older way. RFC 9989. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { formatAggregateReport } from '../../../core/auth/dmarc/aggregate-report.ts';
import { type DmarcMode, PolicyTree } from '../../../core/auth/dmarc/discovery.ts';
import { type DmarcQuestion, evaluateDmarc } from '../../../core/auth/dmarc/evaluate.ts';
import { registeredDomain } from '../../../core/auth/dmarc/public-suffix.ts';
import { parseDmarcRecord } from '../../../core/auth/dmarc/record.ts';
import { memoryDns, type ZoneData } from '../../../core/net/dns-zone.ts';
import { requireSuite } from '../../kit/require.ts';

const policies = (records: Readonly<Record<string, string>>): ZoneData =>
  Object.fromEntries(Object.entries(records).map(([domain, text]) => [`_dmarc.${domain}`, { TXT: [text] }]));

test('records', () => {
  const read = (text: string) => parseDmarcRecord(text);
  assert.equal(read('v=DMARC1; p=reject')!.policy, 'reject');
  assert.equal(read('v = DMARC1 ; P = Quarantine;')!.policy, 'quarantine');
  assert.equal(read('v=dmarc1; p=reject'), undefined);
  assert.equal(read('p=reject; v=DMARC1'), undefined);
  assert.equal(read('v=DMARC12; p=reject'), undefined);
  assert.equal(read('v=DMARC1')!.usable, false);
  assert.equal(read('v=DMARC1; p=destroy')!.usable, false);
  assert.equal(read('v=DMARC1; p=none')!.usable, true);
  assert.equal(read('v=DMARC1; p=destroy; rua=mailto:a@example.org')!.policy, 'none');
  assert.equal(read('v=DMARC1; rua=mailto:a@example.org')!.policy, 'none');
  assert.equal(read('v=DMARC1; p=reject; sp=x; rua=mailto:a@example.org')!.policy, 'none');
  const full = read(
    'v=DMARC1; p=none; sp=quarantine; np=reject; adkim=s; aspf=S; psd=n; t=y; pct=20; fo=1; junk; rua=mailto:a@example.org!10m, https://x.example, mailto:b%2Bc@example.org',
  )!;
  assert.deepEqual(full, {
    usable: true,
    policy: 'none',
    subdomainPolicy: 'quarantine',
    nonexistentPolicy: 'reject',
    dkimAlignment: 'strict',
    spfAlignment: 'strict',
    publicSuffix: 'n',
    testing: true,
    reportTo: ['a@example.org', 'b+c@example.org'],
    percent: 20,
  });
});

const tree: Readonly<Record<string, string>> = {
  'example.org': 'v=DMARC1; p=reject',
  'corp.example.org': 'v=DMARC1; p=none; psd=n',
  'co.test': 'v=DMARC1; p=reject; psd=y; np=quarantine',
  'shop.co.test': 'v=DMARC1; p=none',
  test: 'v=DMARC1; psd=y',
  'deep.example': 'v=DMARC1; p=quarantine',
  'two.example': 'v=DMARC1; p=reject',
};
const organizational: readonly [domain: string, want: string][] = [
  ['example.org', 'example.org'],
  ['mail.example.org', 'example.org'],
  ['a.b.c.example.org', 'example.org'],
  ['corp.example.org', 'corp.example.org'],
  ['mail.corp.example.org', 'corp.example.org'],
  ['shop.co.test', 'shop.co.test'],
  ['mail.shop.co.test', 'shop.co.test'],
  ['other.co.test', 'other.co.test'],
  ['mail.other.co.test', 'other.co.test'],
  ['co.test', 'co.test'],
  ['nothing.invalid', 'nothing.invalid'],
  ['a.b.c.d.e.f.g.h.i.j.deep.example', 'deep.example'],
];
for (const [domain, want] of organizational) {
  test(`organizational domain of ${domain}`, async () => {
    assert.equal(
      await new PolicyTree(memoryDns(policies(tree)), 'rfc9989').organizationalDomain(domain),
      want,
    );
  });
}

test('no walk asks more than eight names', async () => {
  const asked: string[] = [];
  const dns = memoryDns({});
  const counted = {
    ...dns,
    txt: (name: string) => {
      asked.push(name);
      return dns.txt(name);
    },
  };
  const labels = 'a.b.c.d.e.f.g.h.i.j.k.l.example.org';
  await new PolicyTree(counted, 'rfc9989').policyFor(labels);
  assert.deepEqual(asked, [
    `_dmarc.${labels}`,
    '_dmarc.h.i.j.k.l.example.org',
    '_dmarc.i.j.k.l.example.org',
    '_dmarc.j.k.l.example.org',
    '_dmarc.k.l.example.org',
    '_dmarc.l.example.org',
    '_dmarc.example.org',
    '_dmarc.org',
  ]);
});

interface Case {
  readonly author: string;
  readonly spf?: string;
  readonly dkim?: string;
  readonly records?: Readonly<Record<string, string>>;
  readonly more?: ZoneData;
  readonly mode?: DmarcMode;
}

/** `domain result`, several after commas. */
const results = (text = '') =>
  text === ''
    ? []
    : text.split(', ').map((each) => ({ domain: each.split(' ')[0]!, result: each.split(' ')[1]! }));

async function evaluate({ author, spf, dkim, records = tree, more = {}, mode = 'rfc9989' }: Case) {
  const question: DmarcQuestion = { author, spf: results(spf)[0], dkim: results(dkim), mode };
  const { result, policy } = await evaluateDmarc(question, memoryDns({ ...policies(records), ...more }));
  return `${result} ${policy}`;
}

const strict = { 'example.org': 'v=DMARC1; p=reject; adkim=s; aspf=s' };
const np = { 'example.org': 'v=DMARC1; p=none; sp=quarantine; np=reject' };
const cases: readonly [name: string, given: Case, want: string][] = [
  ['nothing passes', { author: 'example.org' }, 'fail reject'],
  ['SPF of the domain', { author: 'example.org', spf: 'example.org pass' }, 'pass reject'],
  ['SPF of a subdomain', { author: 'example.org', spf: 'bounce.example.org pass' }, 'pass reject'],
  ['SPF of the parent', { author: 'mail.example.org', spf: 'example.org pass' }, 'pass reject'],
  ['SPF softfail', { author: 'example.org', spf: 'example.org softfail' }, 'fail reject'],
  ['SPF of another domain', { author: 'example.org', spf: 'evil.example pass' }, 'fail reject'],
  ['a domain that only ends alike', { author: 'example.org', spf: 'notexample.org pass' }, 'fail reject'],
  [
    'DKIM of the domain, beside others',
    { author: 'example.org', dkim: 'esp.example pass, example.org pass' },
    'pass reject',
  ],
  ['DKIM of a sibling', { author: 'a.example.org', dkim: 'b.example.org pass' }, 'pass reject'],
  ['DKIM that failed', { author: 'example.org', dkim: 'example.org fail' }, 'fail reject'],
  ['DKIM beyond psd=n', { author: 'mail.corp.example.org', dkim: 'example.org pass' }, 'fail none'],
  ['within psd=n', { author: 'mail.corp.example.org', dkim: 'corp.example.org pass' }, 'pass none'],
  ['two names below a public suffix', { author: 'one.co.test', dkim: 'two.co.test pass' }, 'fail quarantine'],
  ['strict, same domain', { author: 'example.org', spf: 'example.org pass', records: strict }, 'pass reject'],
  [
    'strict, subdomain',
    { author: 'example.org', spf: 'mail.example.org pass', dkim: 'mail.example.org pass', records: strict },
    'fail reject',
  ],
  [
    'a record that cannot be read',
    { author: 'x.example', records: { 'x.example': 'v=DMARC1; p=destroy' } },
    'none none',
  ],
  ['no policy', { author: 'nothing.invalid', spf: 'nothing.invalid pass' }, 'none none'],
  ['p= for the domain itself', { author: 'example.org', records: np }, 'fail none'],
  [
    'sp= for a subdomain that exists',
    { author: 'a.example.org', records: np, more: { 'a.example.org': { A: ['192.0.2.1'] } } },
    'fail quarantine',
  ],
  [
    'sp= for a name that has no records and others below it (RFC 8020)',
    { author: 'a.example.org', records: np, more: { 'deep.a.example.org': { A: ['192.0.2.1'] } } },
    'fail quarantine',
  ],
  [
    'sp= for a name with records of another type alone',
    { author: 'a.example.org', records: np, more: { 'a.example.org': { NS: ['ns.example.org'] } } },
    'fail quarantine',
  ],
  [
    'nobody knows whether the name exists',
    { author: 'a.example.org', records: np, more: { 'a.example.org': 'SERVFAIL' } },
    'temperror none',
  ],
  ['np= for one that does not', { author: 'a.example.org', records: np }, 'fail reject'],
  [
    't=y is one step milder',
    { author: 'example.org', records: { 'example.org': 'v=DMARC1; p=reject; t=y' } },
    'fail quarantine',
  ],
  [
    'two records are none',
    {
      author: 'x.example',
      records: {},
      more: { '_dmarc.x.example': { TXT: ['v=DMARC1; p=reject', 'v=DMARC1; p=none'] } },
    },
    'none none',
  ],
  [
    'other TXT records do not count',
    {
      author: 'x.example',
      records: {},
      more: { '_dmarc.x.example': { TXT: ['hello', 'v=DMARC1; p=reject'] } },
    },
    'fail reject',
  ],
  [
    'DNS has no answer',
    { author: 'x.example', records: {}, more: { '_dmarc.x.example': 'SERVFAIL' } },
    'temperror none',
  ],
  ['SPF had no answer', { author: 'example.org', spf: 'example.org temperror' }, 'temperror reject'],
  ['SPF of another had no answer', { author: 'example.org', spf: 'evil.example temperror' }, 'fail reject'],
  [
    'DKIM had no answer, SPF passes',
    { author: 'example.org', dkim: 'example.org temperror', spf: 'example.org pass' },
    'pass reject',
  ],
  [
    'the list: a subdomain',
    { author: 'a.b.example.org', dkim: 'example.org pass', mode: 'rfc7489' },
    'pass reject',
  ],
  [
    'the list: below a suffix',
    {
      author: 'a.example.co.uk',
      dkim: 'other.co.uk pass',
      mode: 'rfc7489',
      records: { 'example.co.uk': 'v=DMARC1; p=reject' },
    },
    'fail reject',
  ],
  ['the list: no walk', { author: 'a.b.corp.example.org', mode: 'rfc7489' }, 'fail reject'],
];
for (const [name, given, want] of cases) {
  test(`evaluated: ${name}`, async () => assert.equal(await evaluate(given), want));
}

test('the public suffix list, by its own test', (t) => {
  const file = requireSuite(t, 'dmarc/test_psl.txt');
  if (file === undefined) return;
  let count = 0;
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const match = /^checkPublicSuffix\((null|'(.*?)'), (null|'(.*?)')\);/.exec(line);
    if (!match || match[1] === 'null') continue;
    count++;
    assert.equal(registeredDomain(match[2]!), match[4] ?? null, line);
  }
  assert.ok(count >= 70, String(count));
});

test('a report is XML, whatever mail says', () => {
  const xml = formatAggregateReport({
    organization: 'mx.example.net',
    email: 'postmaster@example.net',
    id: 'r1',
    begin: 1_795_219_200,
    end: 1_795_305_599,
    policy: {
      domain: 'example.org',
      policy: 'reject',
      subdomainPolicy: 'none',
      dkimAlignment: 'strict',
      spfAlignment: 'relaxed',
      testing: false,
      discovery: 'treewalk',
    },
    rows: [
      {
        sourceIp: '192.0.2.1',
        count: 3,
        disposition: 'none',
        dkimAligned: false,
        spfAligned: true,
        override: { type: 'mailing_list', comment: 'lists.example' },
        headerFrom: 'example.org',
        envelopeFrom: '<&"\x01',
        dkim: [{ domain: 'example.org', selector: 's1', result: 'fail' }],
        spf: { domain: 'example.org', scope: 'mfrom', result: 'pass' },
      },
    ],
  });
  assert.match(xml, /<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2\.0">/);
  assert.match(xml, /<envelope_from>&#60;&#38;&#34;\ufffd<\/envelope_from>/);
  assert.match(xml, /<sp>none<\/sp>\n<adkim>s<\/adkim>\n<aspf>r<\/aspf>/);
  assert.match(xml, /<reason>\n<type>mailing_list<\/type>\n<comment>lists\.example<\/comment>\n<\/reason>/);
});
