/** The data decoder against a slow model, on every split of every short sequence of the octets that matter. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DataDecoder } from '../../../src/ingress/smtp/data-decoder.ts';

interface Outcome {
  message: string;
  rest: string | undefined;
}

function decodeChunks(chunks: readonly string[], framing: 'dot' | 'counted' = 'dot'): Outcome {
  const decoder = new DataDecoder(framing);
  let message = '';
  for (const [index, chunk] of chunks.entries()) {
    const bytes = Buffer.from(chunk, 'latin1');
    const { data, end } = decoder.decode(bytes);
    message += data.toString('latin1');
    if (end !== -1) {
      return { message, rest: bytes.toString('latin1', end) + chunks.slice(index + 1).join('') };
    }
  }
  return { message: message + decoder.finish().toString('latin1'), rest: undefined };
}

/** What the decoder must do, said with string operations on the whole. */
function model(input: string): Outcome {
  const whole = `\r\n${input}`;
  const end = whole.indexOf('\r\n.\r\n');
  const body = end === -1 ? whole : whole.slice(0, end + 2);
  const message = body
    .replaceAll('\r\n.', '\r\n')
    .slice(2)
    .replace(/\r\n|\r|\n/g, (newline) => (newline === '\r' ? ' ' : '\r\n'));
  return { message, rest: end === -1 ? undefined : whole.slice(end + 5) };
}

const cases: readonly { name: string; input: string; want: Outcome }[] = [
  { name: 'ends at CRLF.CRLF', input: 'a\r\n.\r\nQUIT\r\n', want: { message: 'a\r\n', rest: 'QUIT\r\n' } },
  { name: 'may be empty', input: '.\r\nX', want: { message: '', rest: 'X' } },
  { name: 'LF.LF is content', input: 'a\n.\nb', want: { message: 'a\r\n.\r\nb', rest: undefined } },
  { name: 'LF.CRLF is content', input: 'a\n.\r\nb', want: { message: 'a\r\n.\r\nb', rest: undefined } },
  { name: 'CRLF.LF is content', input: 'a\r\n.\nb', want: { message: 'a\r\n\r\nb', rest: undefined } },
  { name: 'CRLF.CR is content', input: 'a\r\n.\rb', want: { message: 'a\r\n b', rest: undefined } },
  { name: 'CR.CR is content', input: 'a\r.\rb', want: { message: 'a . b', rest: undefined } },
  { name: 'CR.CRLF is content', input: 'a\r.\r\nb', want: { message: 'a .\r\nb', rest: undefined } },
  { name: 'CR CR LF', input: 'a\r\r\n.\r\n', want: { message: 'a \r\n', rest: '' } },
  { name: 'a dot is unstuffed', input: '..\r\n...a\r\n.\r\n', want: { message: '.\r\n..a\r\n', rest: '' } },
  { name: 'NUL is kept', input: 'a\0b\r\n.\r\n', want: { message: 'a\0b\r\n', rest: '' } },
];

for (const { name, input, want } of cases) {
  test(`data: ${name}, at every split`, () => {
    for (let first = 0; first <= input.length; first += 1) {
      for (let second = first; second <= input.length; second += 1) {
        const chunks = [input.slice(0, first), input.slice(first, second), input.slice(second)];
        assert.deepEqual(decodeChunks(chunks), want, JSON.stringify(chunks));
      }
    }
    assert.deepEqual(decodeChunks([...input]), want, 'octet by octet');
  });
}

test('data: every sequence of up to eight of CR, LF, dot and a letter agrees with the model, whole and split', () => {
  const alphabet = ['\r', '\n', '.', 'a'];
  for (let length = 1; length <= 8; length += 1) {
    for (let code = 0; code < 4 ** length; code += 1) {
      let input = '';
      for (let rest = code, n = 0; n < length; n += 1, rest = Math.floor(rest / 4))
        input += alphabet[rest % 4];
      const want = model(input);
      const split = code % (length + 1);
      for (const chunks of [[input], [input.slice(0, split), input.slice(split)]]) {
        const got = decodeChunks(chunks);
        if (want.rest === undefined) {
          // The end may still come: a held CR or a dropped dot is not judged yet.
          assert.ok(want.message.startsWith(got.message.replace(/ $/, '')), JSON.stringify(chunks));
          assert.equal(got.rest, undefined, JSON.stringify(chunks));
        } else assert.deepEqual(got, want, JSON.stringify(chunks));
      }
    }
  }
});

test('data: a chunk without anything to change is passed on without a copy', () => {
  const chunk = Buffer.from('one\r\ntwo\r\n.\r\n');
  const { data, end } = new DataDecoder('dot').decode(chunk);
  assert.equal(data.buffer, chunk.buffer);
  assert.equal(data.byteOffset, chunk.byteOffset);
  assert.equal(end, chunk.length);
});

test('data: bare newlines are counted', () => {
  const decoder = new DataDecoder('dot');
  decoder.decode(Buffer.from('a\nb\rc\r\n\n.\r\n'));
  assert.equal(decoder.bareNewlines, 3);
});

test('bdat: dots mean nothing, bare newlines are made harmless', () => {
  assert.deepEqual(decodeChunks(['a\r', '\n.\r\n..\n\r'], 'counted'), {
    message: 'a\r\n.\r\n..\r\n ',
    rest: undefined,
  });
});
