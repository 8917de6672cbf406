/** The octets of fields that we write: folding, limits, encoding. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeWords, encodeWords } from '../../../core/mail/encoded-word.ts';
import { checkField, formatField } from '../../../core/mail/format-field.ts';
import { fieldValue } from '../../../core/mail/header.ts';

const cases: { name: string; field?: string; value: string; smtputf8?: boolean; want: string }[] = [
  { name: 'plain', value: 'hello', want: 'A: hello\r\n' },
  { name: 'empty', value: '', want: 'A:\r\n' },
  { name: 'white space around', value: ' \thello  ', want: 'A: hello\r\n' },
  { name: 'CRLF fold', value: 'a;\r\n\tb', want: 'A: a;\r\n\tb\r\n' },
  { name: 'LF fold', value: 'a;\n b', want: 'A: a;\r\n b\r\n' },
  { name: 'fold at the begin', value: '\r\n b', want: 'A:\r\n b\r\n' },
  { name: 'line of white space alone', value: 'a\r\n \t\r\n b', want: 'A: a\r\n b\r\n' },
  { name: 'line end at the end', value: 'a\r\n', want: 'A: a\r\n' },
  { name: 'UTF-8', value: 'grüße', smtputf8: true, want: 'A: grüße\r\n' },
  { name: 'encoded', value: 'viele grüße an alle', want: 'A: viele =?utf-8?B?Z3LDvMOfZQ==?= an alle\r\n' },
  { name: 'encoded, base64', value: '日本語', want: 'A: =?utf-8?B?5pel5pys6Kqe?=\r\n' },
  { name: 'white space between encoded words', value: 'ä  ö', want: 'A: =?utf-8?B?w6QgIMO2?=\r\n' },
  {
    name: 'display name',
    field: 'From',
    value: 'Jürg Müller <j@example.test>',
    want: 'From: =?utf-8?Q?J=C3=BCrg_M=C3=BCller?= <j@example.test>\r\n',
  },
  {
    name: 'quoted display name',
    field: 'To',
    value: '"Müller, Jürg" <j@example.test>, b@c.test',
    want: 'To: =?utf-8?Q?M=C3=BCller=2C_J=C3=BCrg?= <j@example.test>, b@c.test\r\n',
  },
  { name: 'domain', field: 'Cc', value: 'x@bücher.example', want: 'Cc: x@xn--bcher-kva.example\r\n' },
  { name: 'comment', field: 'Cc', value: 'x@a.test (Jürg)', want: 'Cc: x@a.test (=?utf-8?B?SsO8cmc=?=)\r\n' },
  { name: 'lone surrogate', value: 'a\ud800b', smtputf8: true, want: 'A: a\ufffdb\r\n' },
];
for (const { name, field = 'A', value, smtputf8, want } of cases) {
  test(`format: ${name}`, () => assert.equal(formatField(field, value, smtputf8).toString('utf8'), want));
}

test('a long line is folded at white space, a long word within', () => {
  const words = formatField('A', 'word '.repeat(1000)).toString();
  assert.deepEqual(
    words.split('\r\n').filter((line) => line.length > 998),
    [],
  );
  assert.equal(fieldValue(Buffer.from(words)), 'word '.repeat(1000).trim());
  const solid = formatField('A', 'ü'.repeat(2000), true).toString();
  for (const line of solid.split('\r\n')) assert.ok(Buffer.byteLength(line) <= 998);
  assert.equal(fieldValue(Buffer.from(solid)).replaceAll(' ', ''), 'ü'.repeat(2000));
});

test('encoded words keep to 75 characters and to whole characters', () => {
  const text = 'Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich 日本語 🎉'.repeat(5);
  const encoded = encodeWords(text);
  for (const word of encoded.split('\r\n ')) {
    assert.ok(word.length <= 75, word);
    assert.ok(!decodeWords(word).includes('\ufffd'), word);
  }
  assert.equal(decodeWords(encoded), text);
});

test('property: what may be written is read back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.boolean(), (value, smtputf8) => {
      fc.pre(checkField('Subject', value) === undefined && value.isWellFormed());
      fc.pre(!/=\?|\n|[\ud800-\udfff]|\ufffd/.test(value));
      const raw = formatField('Subject', value, smtputf8);
      assert.ok(raw.toString('latin1').endsWith('\r\n'));
      assert.deepEqual(raw.toString('latin1').match(/\r(?!\n)|(?<!\r)\n|\n(?![ \t]|$)/g), null);
      if (!smtputf8) assert.ok(raw.every((octet) => octet < 128));
      assert.equal(
        decodeWords(fieldValue(raw)).replace(/[ \t]+/g, ' '),
        value.replace(/^[ \t]+|[ \t]+$/g, '').replace(/[ \t]+/g, ' '),
      );
    }),
  );
});

const words: { name: string; text: string; want: string }[] = [
  { name: 'none', text: 'plain', want: 'plain' },
  { name: 'Q', text: '=?iso-8859-1?q?gr=FC=DFe_an?= alle', want: 'grüße an alle' },
  { name: 'B', text: '=?UTF-8?B?5pel5pys6Kqe?=', want: '日本語' },
  { name: 'adjacent', text: '=?utf-8?q?a?= =?utf-8?q?b?=\tc', want: 'ab\tc' },
  { name: 'a character split between words', text: '=?utf-8?B?5pc=?= =?utf-8?B?pQ==?=', want: '日' },
  { name: 'language', text: '=?us-ascii*en?q?hi?=', want: 'hi' },
  { name: 'unknown charset', text: '=?x-none?q?hi?= =?utf-8?q?b?=', want: '=?x-none?q?hi?= b' },
  { name: 'Japanese', text: '=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=', want: '日本' },
  { name: 'unended', text: '=?utf-8?q?abc', want: '=?utf-8?q?abc' },
  { name: 'raw space within', text: '=?utf-8?q?a b?=', want: 'a b' },
];
for (const { name, text, want } of words)
  test(`decode: ${name}`, () => assert.equal(decodeWords(text), want));

test('decoding takes linear time', () => {
  const started = performance.now();
  for (const piece of ['=?', '=?a?', '=?a?q?', '=?utf-8?q?a?= ', '=?utf-8?q?=', '?='])
    decodeWords(piece.repeat(200_000));
  // Two orders of magnitude above what it takes.
  assert.ok(performance.now() - started < 20_000);
});
