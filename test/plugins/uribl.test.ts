/** uribl: links however they are written, what each list is asked, and lists out of order. RFC 5782. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type TestSetup, type TestZone, testDns, testPlugin } from 'mailfilter/testing';
import uribl from '../../plugins/uribl/index.ts';
import { LinkHosts } from '../../plugins/uribl/links.ts';

const texts: readonly [name: string, text: string, want: string[]][] = [
  ['a link', 'see http://www.example.com/a?b#c now', ['www.example.com']],
  ['secure, with a port', 'https://example.com:8443/', ['example.com']],
  ['a user before the host', 'http://bank.example.net@evil.example.com/', ['evil.example.com']],
  ['capitals', 'HTTP://EVIL.Example.COM', ['evil.example.com']],
  [
    'in brackets and quotes',
    '<http://a.example.com> "http://b.example.com"',
    ['a.example.com', 'b.example.com'],
  ],
  ['a number for an address', 'http://3221225985/', ['192.0.2.1']],
  ['hexadecimal octets', 'http://0xc0.0x0.0x2.0x1/', ['192.0.2.1']],
  ['an IPv6 address', 'http://[2001:db8::1]:80/', ['2001:db8::1']],
  ['percent signs', 'http://ev%69l.example.com/', ['evil.example.com']],
  ['U-labels', 'http://bücher.example.com/', ['xn--bcher-kva.example.com']],
  ['other full stops', 'http://evil。example．com/', ['evil.example.com']],
  ['a full stop at the end', 'Go to http://example.com./.', ['example.com']],
  ['text right after the link', 'http://evil.example.com看看', ['evil.example.com']],
  ['hxxp', 'hxxps://evil.example.com/', ['evil.example.com']],
  [
    'bracketed full stops',
    'evil[.]example[.]com or evil(dot)example(dot)net',
    ['evil.example.com', 'evil.example.net'],
  ],
  ['invisible characters', 'http://ev\u200bil.exam\u00adple.com', ['evil.example.com']],
  ['a bare name', 'visit evil.example.com today', ['evil.example.com']],
  ['www', 'www.example.com', ['www.example.com']],
  ['a bare name in wide letters', 'visit bücher.com today', ['xn--bcher-kva.com']],
  ['a bare name among wide letters', '请访问evil.example.com看看', ['evil.example.com']],
  ['a mail address', 'write to Ann.B@mail.example.com.', ['mail.example.com']],
  [
    'a redirector',
    'https://go.example.com/?u=http%3A%2F%2Fevil.example.net%2Fx',
    ['go.example.com', 'evil.example.net'],
  ],
  ['file names, versions, sums', 'report.txt 1.2.3 a.b 12:30 10.5 x.y.z', []],
  ['addresses that stand in passing', '192.0.2.1', []],
  ['no host', 'http:// http:/// http://? ftp://', []],
  ['no name', 'http://localhost/ http://-x.com/', []],
  [
    'links before what stands in passing',
    'a.example.com b@b.example.com http://c.example.com',
    ['c.example.com', 'b.example.com', 'a.example.com'],
  ],
];
for (const [name, text, want] of texts) {
  test(`links of a text: ${name}`, () => {
    const links = new LinkHosts(true);
    links.addText(text);
    assert.deepEqual(links.hosts, want);
  });
}

const pages: readonly [name: string, html: string, want: string[]][] = [
  ['an href', '<a href="http://evil.example.com/">x</a>', ['evil.example.com']],
  ['without quotes', '<a href=http://evil.example.com/>x</a>', ['evil.example.com']],
  ['a slash for a space', '<a/href="http://evil.example.com">x</a>', ['evil.example.com']],
  ['cut by line ends and tabs', '<a href="ht\r\ntp://ev\til.example.com/">x</a>', ['evil.example.com']],
  ['entities', '<a href="&#104;ttp&#58;//evil&#46;example.com">x</a>', ['evil.example.com']],
  ['backslashes', '<a href="http:\\\\evil.example.com\\x">x</a>', ['evil.example.com']],
  ['no scheme', '<img src="//evil.example.com/p.gif">', ['evil.example.com']],
  ['a form', '<form action="https://evil.example.com/login">', ['evil.example.com']],
  ['a base', '<base href="http://evil.example.com/"><a href="x">', ['evil.example.com']],
  ['a refresh', '<meta http-equiv=refresh content="0; url=http://evil.example.com">', ['evil.example.com']],
  ['a style', '<p style="background:url(http://evil.example.com/x)">', ['evil.example.com']],
  ['a script', '<script>location="http://evil.example.com/"</script>', ['evil.example.com']],
  ['mailto', '<a href="mailto:Ann%40x@evil.example.com?subject=x">x</a>', ['evil.example.com']],
  [
    'text that shows another host',
    '<a href="http://evil.example.com">www.example.net</a>',
    ['evil.example.com', 'www.example.net'],
  ],
  ['a name cut by tags', '<p>evil.<b></b>exam<i>ple</i>.com</p>', ['evil.example.com']],
  [
    'a greater-than sign in an attribute',
    '<a title=">" href="http://evil.example.com">',
    ['evil.example.com'],
  ],
  ['a tag that never ends', '<a href="http://evil.example.com', ['evil.example.com']],
  ['a place in the page', '<a href="#top">x</a><a href="page.html">y</a>', []],
];
for (const [name, html, want] of pages) {
  test(`links of HTML: ${name}`, () => {
    const links = new LinkHosts(true);
    links.addHtml(html, 100_000);
    assert.deepEqual(links.hosts, want);
  });
}

test('links of any text and HTML: an answer of names and addresses, whatever comes', () => {
  const piece = fc.constantFrom(
    '<a href=',
    '"',
    "'",
    '>',
    'http://',
    'a.com',
    '%41',
    '&#46;',
    '@',
    '.',
    '[',
    ']',
    '\u200b',
    'ü',
    ' ',
    '\\',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(piece, fc.string({ maxLength: 6 })), { maxLength: 60 }), (parts) => {
      const links = new LinkHosts(true);
      links.addHtml(parts.join(''), 10_000);
      links.addText(parts.join(''));
      for (const host of links.hosts) assert.match(host, /^[a-z0-9_.:-]+$/);
    }),
    { numRuns: 300 },
  );
});

const hostile: readonly [name: string, text: string][] = [
  ['letters', 'a'.repeat(400_000)],
  ['labels', 'a.'.repeat(200_000)],
  ['at signs', 'a@'.repeat(200_000)],
  ['schemes', 'http://'.repeat(60_000)],
  ['tags', '<a '.repeat(130_000)],
  ['quotes', '<a x="'.repeat(60_000)],
  ['space in a tag', `<a ${' '.repeat(400_000)}`],
  ['percent signs', `http://a.com/${'%41'.repeat(100_000)}`],
  ['entities', '&#'.repeat(200_000)],
];
for (const [name, text] of hostile) {
  test(`links of hostile input end soon: ${name}`, { timeout: 60_000 }, () => {
    const links = new LinkHosts(true);
    links.addHtml(text, 400_000);
    assert.ok(links.hosts.length <= 5001);
  });
}

const lists: TestZone = {
  'example.com.multi.test': { A: ['127.0.0.6'] },
  'example.co.uk.multi.test': { A: ['127.0.0.2'] },
  'evil.example.net.hosts.test': { A: ['127.0.1.2'] },
  '1.2.0.192.multi.test': { A: ['127.0.0.2'] },
  [`1.0.0.0.${'0.'.repeat(20)}8.b.d.0.1.0.0.2.multi.test`]: { A: ['127.0.0.2'] },
  'xn--bcher-kva.example.multi.test': { A: ['127.0.0.2'] },
  'example.com.blocked.test': { A: ['127.0.0.1'] },
  'example.com.wild.test': { A: ['127.0.0.2'] },
  'invalid.wild.test': { A: ['127.0.0.2'] },
  'example.com.dead.test': { A: 'SERVFAIL' },
  'example.com.slow.test': { A: 'TIMEOUT' },
  'example.com.garbage.test': { A: ['203.0.113.7'] },
};
type Options = NonNullable<TestSetup['options']>;

function message(options: Options, text: string, more: Partial<TestSetup> = {}) {
  return testPlugin(uribl, { options, dns: lists, ...more }).message({
    message: `From: a@example.org\nSubject: hello\n\n${text}\n`,
  });
}

const hits: readonly [name: string, options: Options, text: string, want: Record<string, number>][] = [
  [
    'below the public suffix',
    { zones: ['multi.test'] },
    'http://a.b.example.co.uk/',
    { URIBL_MULTI_TEST: 3 },
  ],
  [
    'several names count once',
    { zones: ['multi.test'] },
    'http://a.example.com http://b.example.co.uk',
    { URIBL_MULTI_TEST: 3 },
  ],
  [
    'bits',
    {
      zones: [
        {
          zone: 'multi.test',
          codes: [
            { name: 'A', mask: 2 },
            { name: 'B', mask: 4, score: 1 },
            { name: 'C', mask: 8 },
          ],
        },
      ],
    },
    'http://example.com',
    { URIBL_MULTI_TEST_A: 3, URIBL_MULTI_TEST_B: 1 },
  ],
  ['an address, reversed', { zones: ['multi.test'] }, 'http://192.0.2.1/', { URIBL_MULTI_TEST: 3 }],
  ['an IPv6 address', { zones: ['multi.test'] }, 'http://[2001:db8::1]/', { URIBL_MULTI_TEST: 3 }],
  ['U-labels', { zones: ['multi.test'] }, 'http://www.bücher.example/', { URIBL_MULTI_TEST: 3 }],
  [
    'the host itself',
    { zones: [{ zone: 'hosts.test', form: 'host', score: 2 }] },
    'http://evil.example.net/',
    { URIBL_HOSTS_TEST: 2 },
  ],
  [
    'not the host, where what was registered is asked',
    { zones: ['hosts.test'] },
    'http://evil.example.net/',
    {},
  ],
  [
    'either',
    { zones: [{ zone: 'hosts.test', form: 'both' }] },
    'http://evil.example.net/',
    { URIBL_HOSTS_TEST: 3 },
  ],
  ['no addresses', { zones: [{ zone: 'multi.test', addresses: false }] }, 'http://192.0.2.1/', {}],
  ['excluded', { zones: ['multi.test'], exclude: ['example.com'] }, 'http://a.example.com/', {}],
  ['an excluded network', { zones: ['multi.test'], exclude: ['192.0.2.0/24'] }, 'http://192.0.2.1/', {}],
  ['no bare names', { zones: ['multi.test'], bareNames: false }, 'example.com', {}],
  ['a parked list', { zones: ['garbage.test'] }, 'http://example.com', {}],
];
for (const [name, options, text, want] of hits) {
  test(`uribl: ${name}`, async () => {
    const { answer } = await message(options, text);
    assert.deepEqual(Object.fromEntries((answer.symbols ?? []).map((each) => [each.name, each.score])), want);
  });
}

test('uribl refuses, and says what it was', async () => {
  const { verdict } = await message({ zones: ['multi.test'], action: 'reject' }, 'http://a.example.com');
  assert.deepEqual(verdict, {
    action: 'reject',
    code: 554,
    enhanced: '5.7.1',
    text: 'message leads to example.com, which is listed by multi.test',
  });
});

test('uribl reads HTML, encoded text, the subject and attached pages', async () => {
  const parts = [
    ['text/html; charset=utf-8', 'quoted-printable', '<a href=3D"http://exam=\nple.com/">x</a>'],
    ['text/plain', 'base64', Buffer.from('http://example.com/').toString('base64')],
    ['text/html; name="a.html"\nContent-Disposition: attachment', '7bit', '<form action=http://example.com>'],
    [
      'application/octet-stream; name="a.htm"\nContent-Disposition: attachment',
      '7bit',
      '<form action=http://example.com>',
    ],
  ];
  for (const [type, encoding, body] of parts) {
    const text = `From: a@example.org\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: ${type}\nContent-Transfer-Encoding: ${encoding}\n\n${body}\n--b--\n`;
    const { answer } = await testPlugin(uribl, { options: { zones: ['multi.test'] }, dns: lists }).message({
      message: text,
    });
    assert.equal(answer.score, 3, type);
  }
  const subject = 'From: a@example.org\nSubject: =?utf-8?B?aHR0cDovL2V4YW1wbGUuY29t?=\n\nx\n';
  const plugin = testPlugin(uribl, { options: { zones: ['multi.test'] }, dns: lists });
  assert.equal((await plugin.message({ message: subject })).answer.score, 3);
});

test('uribl asks about no more than it may, each name once, and none of its own site', async () => {
  const asked: string[] = [];
  const dns = testDns({});
  const counting = {
    ...dns,
    a(name: string) {
      asked.push(name);
      return dns.a(name);
    },
  };
  const names = Array.from({ length: 50 }, (_, n) => `http://h${n}.com/ http://www.h${n}.com/`).join(' ');
  const { answer } = await message(
    { zones: ['multi.test'], namesMax: 7 },
    `${names} http://own.org http://x.w3.org http://127.0.0.1`,
    {
      dns: counting,
      domains: ['own.org'],
    },
  );
  assert.deepEqual(answer.result, { names: 7, listed: [], cut: true });
  assert.deepEqual(answer.symbols, [{ name: 'URIBL_CUT', score: 0 }]);
  assert.deepEqual(asked, [
    ...[0, 1, 2, 3, 47, 48, 49].map((n) => `h${n}.com.multi.test`),
    'test.multi.test',
  ]);
});

const troubles: readonly [name: string, zone: string, want: RegExp][] = [
  ['dead', 'dead.test', /servfail/],
  ['slow', 'slow.test', /timeout/],
  ['refusing', 'blocked.test', /refuses to answer \(127\.0\.0\.1\)/],
  ['listing the world', 'wild.test', /lists its own test point/],
];
for (const [name, zone, want] of troubles) {
  test(`uribl: a list that is ${name} is a failure, or left out and told`, async () => {
    await assert.rejects(message({ zones: [zone] }, 'http://example.com'), want);
    const zones = [{ zone, onFailure: 'continue' }, 'multi.test'];
    const { answer } = await message({ zones }, 'http://example.com');
    assert.deepEqual((answer.result as { failed: unknown }).failed, [zone]);
    assert.equal(answer.score, 3);
  });
}

test('uribl: a list that never answers is waited for no longer than it may take', async () => {
  const dns = { ...testDns({}), a: () => new Promise<string[]>(() => {}) };
  const options = { zones: [{ zone: 'silent.test', onFailure: 'continue' }], listTimeoutSeconds: 0.05 };
  const { answer } = await message(options, 'http://example.com', { dns, timeoutSeconds: 30 });
  assert.deepEqual(answer.result, { names: 1, listed: [], failed: ['silent.test'] });
});

test('uribl: a message without links asks nothing', async () => {
  const { answer } = await message({ zones: ['dead.test'] }, 'hello');
  assert.deepEqual(answer, {});
});

test('uribl: a message too large to be read is not called clean', async () => {
  const { answer } = await message({ zones: ['multi.test'] }, 'http://example.com', {
    limits: { parsedMessageBytesMax: 20 },
  });
  assert.deepEqual(answer.result, { scanned: false, reason: 'size' });
});
