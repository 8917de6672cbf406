/** The text of HTML as filters see it: what a reader sees, in linear time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { htmlToText } from '../../../core/mail/html-text.ts';

const cases: readonly [name: string, html: string, want: string][] = [
  ['plain', 'hello', 'hello'],
  ['nothing', '', ''],
  ['tags within a word', 'via<b>gr</b>a', 'viagra'],
  ['comments within a word', 'via<!-- no -->gra', 'viagra'],
  ['empty comment', 'via<!-->gra', 'viagra'],
  ['invisible characters', 'vi\u200bag&shy;ra&#8203;', 'viagra'],
  ['white space', ' a \n\t b&nbsp; c ', 'a b c'],
  ['white space around tags', 'a <b> b</b> <i>c</i>', 'a b c'],
  ['blocks end a line', '<p>one</p><p>two<br>three</p>', 'one\ntwo\nthree'],
  ['cells are parted', '<tr><td>a</td><td>b</td></tr><tr><td>c</td></tr>', 'a b\nc'],
  ['scripts and styles', 'a<script>x<y</script >b<STYLE>p{}</style>c', 'abc'],
  ['the head is hidden', '<head><title>t</title></head><body>b</body>', 'b'],
  ['script without an end', 'a<script>b', 'a'],
  ['comment without an end', 'a<!-- b', 'a'],
  ['declarations', '<!DOCTYPE html><?xml v?>a', 'a'],
  ['entities', '&lt;a&gt; &amp;amp; &quot;&apos;&#65;&#x42;&hellip;', '<a> &amp; "\'AB…'],
  ['entities without a semicolon', '&lt&#65b', '<Ab'],
  ['unknown entities', '&nonsense; &; &#0; &#xD800; &#1114112;', '&nonsense; &;'],
  ['quotes hold angle brackets', '<a title="x>y" href=\'<>\'>link</a>', 'link'],
  ['a quote that never ends', '<a title="x>y</a>z', 'yz'],
  ['an angle bracket alone', 'a < b <3 c', 'a < b <3 c'],
  ['a tag that never ends', 'a<b', 'a'],
  ['upper case', '<P>A</P>b', 'A\nb'],
];
for (const [name, html, want] of cases) {
  test(`html: ${name}`, () => assert.equal(htmlToText(html, 1000), want));
}

test('html: the text is cut', () => {
  assert.equal(htmlToText('abcdef', 4), 'abcd');
  assert.equal(htmlToText('<p>ab</p><p>cdef', 4), 'ab\nc');
});

const hostile: readonly [name: string, html: string][] = [
  ['open tags', '<a '.repeat(300_000)],
  ['open quotes', '<a title="'.repeat(100_000)],
  ['open angle brackets', '<'.repeat(500_000)],
  ['open comments', '<!--'.repeat(200_000)],
  ['line breaks', 'a<br>'.repeat(200_000)],
  ['scripts', '<script></script>'.repeat(50_000)],
  ['open scripts', '<script>'.repeat(100_000)],
  ['ampersands', '&'.repeat(1_000_000)],
  ['spaces', ' '.repeat(1_000_000)],
  ['tags after a lost quote', `<a title="${'<b>x'.repeat(200_000)}`],
];
for (const [name, html] of hostile) {
  test(`html: ${name} take linear time`, () => {
    const begin = process.cpuUsage();
    htmlToText(html, 512 * 1024);
    const ms = process.cpuUsage(begin).user / 1000;
    // Processor time, so that a busy machine is no failure; quadratic time would be minutes.
    assert.ok(ms < 5000, `${ms} ms`);
  });
}

test('html: any text answers, with no tag-like rest of known elements', () => {
  const piece = fc.constantFrom(
    '<b>',
    '</b>',
    '<!--',
    '-->',
    '<p',
    '>',
    '"',
    "'",
    'a',
    ' ',
    '&lt',
    ';',
    '<script>',
    '</script>',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const text = htmlToText(pieces.join(''), 1000);
      assert.ok(text.length <= 1000);
      assert.equal(text, text.trim());
    }),
  );
});
