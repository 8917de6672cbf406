/** Addresses: the envelope's grammar (RFC 5321) and that of header fields (RFC 5322), is_email's cases for both. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  compareForm,
  formatPath,
  joinAddress,
  parseMailbox,
  parsePath,
  splitAddress,
} from '../../../core/mail/address.ts';
import { parseAddressList } from '../../../core/mail/address-list.ts';
import { requireSuite } from '../../kit/require.ts';

interface Case {
  readonly id: string;
  readonly address: string;
  readonly category: string;
  readonly diagnosis: string;
}

function isEmailCases(file: string): Case[] {
  const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  const text = (xml: string) =>
    xml
      .replace(/&#x([0-9a-f]+);/gi, (_, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16)))
      .replace(/&#(\d+);/g, (_, decimal: string) => String.fromCodePoint(Number(decimal)))
      .replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => entities[name]!)
      // Control characters stand as their pictures.
      .replace(/[\u2400-\u241f]/g, (picture) => String.fromCharCode(picture.charCodeAt(0) - 0x2400));
  const field = (body: string, name: string) =>
    new RegExp(`<${name}>([\\s\\S]*?)</${name}>`).exec(body)?.[1] ?? '';
  return [...readFileSync(file, 'utf8').matchAll(/<test id="(\d+)">([\s\S]*?)<\/test>/g)].map(
    ([, id, body]) => ({
      id: id!,
      address: text(field(body!, 'address')),
      category: field(body!, 'category').replace('ISEMAIL_', ''),
      diagnosis: field(body!, 'diagnosis').replace('ISEMAIL_', ''),
    }),
  );
}

/** Categories that an SMTP server takes; the others are refused. */
const smtp: Readonly<Record<string, boolean>> = {
  VALID_CATEGORY: true,
  DNSWARN: true,
  RFC5321: true,
  CFWS: false,
  DEPREC: false,
  RFC5322: false,
  ERR: false,
};
/** `::` for a single group: RFC 5321 would have it written out, RFC 4291 section 2.2 allows it. */
const alsoSmtp = new Set(['RFC5321_IPV6DEPRECATED']);
/** Categories that are well-formed in a header field. */
const header: Readonly<Record<string, boolean>> = { ...smtp, CFWS: true, DEPREC: true, RFC5322: true };
/** Not a host's name, but a dot-atom. RFC 5322 section 3.4.1 asks for no more. */
const alsoHeader = new Set(['ERR_DOMAINHYPHENEND']);

test('is_email: what SMTP takes and refuses', (t) => {
  const file = requireSuite(t, 'address/isemail-part.xml');
  if (!file) return;
  const cases = isEmailCases(file);
  assert.equal(cases.length, 82);
  for (const { id, address, category, diagnosis } of cases) {
    const want = smtp[category]! || alsoSmtp.has(diagnosis);
    const got = parseMailbox(address);
    assert.equal(
      !('error' in got),
      want,
      `${id} ${JSON.stringify(address)} ${diagnosis} ${JSON.stringify(got)}`,
    );
  }
});

test('is_email: what is well-formed in a header field', (t) => {
  const file = requireSuite(t, 'address/isemail-part.xml');
  if (!file) return;
  for (const { id, address, category, diagnosis } of isEmailCases(file)) {
    const want = header[category]! || alsoHeader.has(diagnosis);
    const list = parseAddressList(address);
    const got = list.length === 1 && list[0]!.valid;
    assert.equal(got, want, `${id} ${JSON.stringify(address)} ${diagnosis} ${JSON.stringify(list)}`);
  }
});

const paths: { text: string; utf8?: boolean; kind?: 'reverse' | 'forward'; want: string }[] = [
  { text: '<a@b.test>', want: 'a@b.test|' },
  { text: ' <a@b.test>  SIZE=10 BODY=8BITMIME ', want: 'a@b.test|SIZE=10 BODY=8BITMIME' },
  { text: '<>', want: '|' },
  { text: '<> SIZE=1', kind: 'reverse', want: '|SIZE=1' },
  { text: '<>', kind: 'forward', want: 'syntax' },
  { text: '<Postmaster>', want: 'Postmaster|' },
  { text: '<postmaster>', kind: 'forward', want: 'postmaster|' },
  { text: '<postmaster>', kind: 'reverse', want: 'syntax' },
  { text: '<webmaster>', want: 'syntax' },
  { text: '<a@B.Test>', want: 'a@b.test|' },
  { text: '<A.b@B.test>', want: 'A.b@b.test|' },
  { text: '<@x.test,@y.test:a@b.test>', want: 'a@b.test|' },
  { text: '<@x.test:a@b.test> X', want: 'a@b.test|X' },
  { text: '<@:a@b.test>', want: 'syntax' },
  { text: '<@x.test,y.test:a@b.test>', want: 'syntax' },
  { text: '<@x.test>', want: 'syntax' },
  { text: '<"a b"@b.test>', want: '"a b"@b.test|' },
  { text: '<"a>b"@b.test> X', want: '"a>b"@b.test|X' },
  { text: '<"a\\"b"@b.test>', want: '"a\\"b"@b.test|' },
  { text: '<"plain"@b.test>', want: 'plain@b.test|' },
  { text: '<"pl\\ain"@b.test>', want: 'plain@b.test|' },
  { text: '<a@[192.0.2.1]>', want: 'a@[192.0.2.1]|' },
  { text: '<a@[IPv6:2001:db8::1]>', want: 'a@[ipv6:2001:db8::1]|' },
  { text: '<a@[2001:db8::1]>', want: 'syntax' },
  { text: '<a@[IPv6:fe80::1%eth0]>', want: 'syntax' },
  { text: '<a@[x-tag:anything]>', want: 'a@[x-tag:anything]|' },
  { text: '<a@under_score.test>', want: 'a@under_score.test|' },
  { text: '<a@-b.test>', want: 'syntax' },
  { text: '<a@b..test>', want: 'syntax' },
  { text: '<a@b.test.>', want: 'syntax' },
  { text: '<a@b@c.test>', want: 'syntax' },
  { text: '<a b@c.test>', want: 'syntax' },
  { text: '<a@b.test', want: 'syntax' },
  { text: 'a@b.test', want: 'syntax' },
  { text: '<a@b.test>SIZE=1', want: 'syntax' },
  { text: '<a@b.test\r\nRCPT TO:<c@d.test>', want: 'syntax' },
  { text: '<a\0@b.test>', want: 'syntax' },
  { text: '<"a\tb"@b.test>', want: 'syntax' },
  { text: '', want: 'syntax' },
  { text: `<${'a'.repeat(64)}@b.test>`, want: `${'a'.repeat(64)}@b.test|` },
  { text: `<${'a'.repeat(65)}@b.test>`, want: 'length' },
  { text: `<a@${'b'.repeat(63)}.test>`, want: `a@${'b'.repeat(63)}.test|` },
  { text: `<a@${'b'.repeat(64)}.test>`, want: 'length' },
  { text: `<a@${'b.'.repeat(124)}test>`, want: `a@${'b.'.repeat(124)}test|` },
  { text: `<a@${'b.'.repeat(125)}test>`, want: 'length' },
  { text: '<jürg@b.test>', want: 'smtputf8' },
  { text: '<jürg@b.test>', utf8: true, want: 'jürg@b.test|' },
  { text: '<a@bücher.example>', utf8: true, want: 'a@bücher.example|' },
  { text: '<a@BÜCHER.example>', utf8: true, want: 'a@bücher.example|' },
  { text: '<a@bücher.example>', want: 'smtputf8' },
  { text: `<${'ü'.repeat(33)}@b.test>`, utf8: true, want: 'length' },
  { text: '<j\ufffdrg@b.test>', utf8: true, want: 'syntax' },
  { text: '<a@\uff11\uff12>', utf8: true, want: 'syntax' },
  { text: '<a@b\u200b\u2028.test>', utf8: true, want: 'syntax' },
  { text: '<\u0085@b.test>', utf8: true, want: 'syntax' },
];
for (const { text, utf8, kind, want } of paths) {
  test(`path ${JSON.stringify(text.slice(0, 60))}${utf8 ? ' with SMTPUTF8' : ''}${kind ? ` as ${kind}` : ''}`, () => {
    const path = parsePath(text, { smtputf8: utf8, kind });
    assert.equal('error' in path ? path.reason : `${path.address}|${path.parametersText}`, want);
  });
}

test('parts and their joining', () => {
  assert.deepEqual(splitAddress('"a@b"@C.test'), { local: 'a@b', domain: 'c.test' });
  assert.deepEqual(splitAddress('a+x@C.test'), { local: 'a+x', domain: 'c.test' });
  assert.deepEqual(splitAddress('postmaster'), { local: 'postmaster', domain: '' });
  assert.deepEqual(splitAddress(''), { local: '', domain: '' });
  assert.equal(joinAddress('a@b', 'c.test'), '"a@b"@c.test');
  assert.equal(formatPath('a@b.test'), '<a@b.test>');
  assert.equal(formatPath(''), '<>');
});

test('one form for comparing', () => {
  assert.equal(compareForm('"a"@BÜCHER.example'), 'a@xn--bcher-kva.example');
  assert.equal(compareForm('a@XN--BCHER-KVA.example'), 'a@xn--bcher-kva.example');
  assert.notEqual(compareForm('A@b.test'), compareForm('a@b.test'));
});

test('property: what is accepted is accepted again, and splits and joins to itself', () => {
  const text = fc.oneof(
    fc.emailAddress(),
    fc.string({ maxLength: 30 }).map((local) => joinAddress(local, 'b.test')),
  );
  fc.assert(
    fc.property(text, (address) => {
      const mailbox = parseMailbox(address, { smtputf8: true });
      fc.pre(!('error' in mailbox));
      assert.deepEqual(parseMailbox(mailbox.address, { smtputf8: true }), mailbox);
      assert.deepEqual(splitAddress(mailbox.address), { local: mailbox.local, domain: mailbox.domain });
      const path = parsePath(`${formatPath(mailbox.address)} X`, { smtputf8: true });
      assert.deepEqual(path, { address: mailbox.address, parametersText: 'X' });
    }),
  );
});

const lists: { value: string; want: string[] }[] = [
  { value: 'a@b.test', want: 'a@b.test'.split(';') },
  { value: 'John Doe <j@b.test>, a@b.test', want: ['John Doe|j@b.test', 'a@b.test'] },
  { value: '"Doe, John" <j@B.test>', want: ['Doe, John|j@b.test'] },
  { value: 'John (the "man) <x@y>") <j@b.test>', want: ['!John|x@y'] },
  { value: 'j@b.test (John Doe)', want: ['John Doe|j@b.test'] },
  { value: '=?utf-8?q?J=C3=BCrg?= M <j@b.test>', want: ['Jürg M|j@b.test'] },
  {
    value: 'Friends: a@b.test, B <c@d.test>;, e@f.test',
    want: ['a@b.test in Friends', 'B|c@d.test in Friends', 'e@f.test'],
  },
  { value: 'undisclosed-recipients:;', want: [] },
  { value: '', want: [] },
  { value: ' , ,a@b.test,,', want: ['a@b.test'] },
  { value: '<@x.test,@y.test:a@b.test>', want: ['a@b.test'] },
  { value: 'a . b @ c . test', want: ['a.b@c.test'] },
  { value: '"a b"."c"@d.test', want: ['"a b.c"@d.test'] },
  { value: 'a@(comment (nested))b.test', want: ['comment (nested)|a@b.test'] },
  { value: 'J. R. Doe <j@b.test>', want: ['J. R. Doe|j@b.test'] },
  { value: 'a@[192.0.2.1]', want: ['a@[192.0.2.1]'] },
  { value: 'root', want: ['!root|'] },
  { value: 'a@b@c.test', want: ['!a@b@c.test'] },
  { value: 'a@evil.test <b@good.test>', want: ['!a@evil.test|b@good.test'] },
  { value: '<a@b.test> <c@d.test>', want: ['!a@b.test'] },
  { value: 'x <a@b.test', want: ['!x|a@b.test'] },
  { value: 'a..b@c.test', want: ['!a..b@c.test'] },
  { value: '"unended <a@b.test>', want: ['!"unended <a@b.test>|'] },
  { value: 'jürg@bücher.example', want: ['jürg@bücher.example'] },
];
for (const { value, want } of lists) {
  test(`list ${JSON.stringify(value)}`, () => {
    const got = parseAddressList(value).map(({ name, address, valid, group }) => {
      const named = name === '' ? address : `${name}|${address}`;
      return `${valid ? '' : '!'}${named}${group === undefined ? '' : ` in ${group}`}`;
    });
    assert.deepEqual(got, want);
  });
}

test('lists take linear time', () => {
  const started = performance.now();
  for (const piece of [
    '<',
    '(',
    '"',
    'a,',
    'a@b.test, ',
    ':',
    ';',
    'a:b;',
    '\\',
    '[',
    '@',
    '=?utf-8?q?a?= ',
    '()',
    '<a@b> ',
  ])
    parseAddressList(piece.repeat(100_000));
  // Two orders of magnitude above what it takes.
  assert.ok(performance.now() - started < 30_000);
});
