/** Where headers end, and what counts as a field. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headerScanBytesMax } from '../../../core/base/limits/message.ts';
import { defaultLimits } from '../../../core/base/limits/settings.ts';
import { fieldValue, headerTooLarge, parseHeader } from '../../../core/mail/header.ts';
import { judgeHeader, readHeader } from '../../../core/mail/read-header.ts';
import { fileSource, memorySource } from '../../kit/message-source.ts';

const cases: { name: string; input: string; names: string[]; separator: string; body: string }[] = [
  { name: 'ordinary', input: 'A: 1\r\nB: 2\r\n\r\nbody', names: ['A', 'B'], separator: '\r\n', body: 'body' },
  { name: 'bare LF', input: 'A: 1\nB: 2\n\nbody', names: ['A', 'B'], separator: '\n', body: 'body' },
  {
    name: 'mixed line ends, LF first',
    input: 'A: 1\n\nB: 2\r\n\r\nx',
    names: ['A'],
    separator: '\n',
    body: 'B: 2\r\n\r\nx',
  },
  {
    name: 'folding',
    input: 'A: 1\r\n 2\r\n\t3\r\nB: 4\r\n\r\n',
    names: ['A', 'B'],
    separator: '\r\n',
    body: '',
  },
  {
    name: 'line of white space is a fold',
    input: 'A: 1\r\n \r\nB: 2\r\n\r\nx',
    names: ['A', 'B'],
    separator: '\r\n',
    body: 'x',
  },
  { name: 'space before the colon', input: 'A : 1\r\n\r\n', names: ['A'], separator: '\r\n', body: '' },
  {
    name: 'no colon',
    input: 'A: 1\r\nbroken\r\nB: 2\r\n\r\nx',
    names: ['A', '', 'B'],
    separator: '\r\n',
    body: 'x',
  },
  { name: 'colon first', input: ': 1\r\nB: 2\r\n\r\nx', names: ['', 'B'], separator: '\r\n', body: 'x' },
  { name: '8-bit name', input: 'S\xfc: 1\r\nB: 2\r\n\r\n', names: ['', 'B'], separator: '\r\n', body: '' },
  { name: 'NUL in name', input: 'S\0: 1\r\nB: 2\r\n\r\n', names: ['', 'B'], separator: '\r\n', body: '' },
  {
    name: 'NUL and bare CR in value',
    input: 'A: 1\0\r2\r\nB: 2\r\n\r\n',
    names: ['A', 'B'],
    separator: '\r\n',
    body: '',
  },
  {
    name: 'From_ line first',
    input: 'From a Mon\r\nA: 1\r\n\r\nx',
    names: ['', 'A'],
    separator: '\r\n',
    body: 'x',
  },
  {
    name: 'white space first',
    input: ' A: 1\r\nB: 2\r\n\r\nx',
    names: [],
    separator: '',
    body: ' A: 1\r\nB: 2\r\n\r\nx',
  },
  {
    name: 'no field at all',
    input: 'Hello\r\n\r\nA: 1',
    names: [],
    separator: '',
    body: 'Hello\r\n\r\nA: 1',
  },
  { name: 'empty line first', input: '\r\nA: 1\r\n\r\n', names: [], separator: '\r\n', body: 'A: 1\r\n\r\n' },
  { name: 'bare LF first', input: '\nbody', names: [], separator: '\n', body: 'body' },
  {
    name: 'no separator',
    input: 'A: 1\r\nhello\r\nB: 2\r\n',
    names: ['A'],
    separator: '',
    body: 'hello\r\nB: 2\r\n',
  },
  {
    name: 'no separator, From_ line',
    input: 'From a\r\nA: 1\r\nhello',
    names: ['', 'A'],
    separator: '',
    body: 'hello',
  },
  { name: 'From_ line alone', input: 'From a\r\nhello', names: [], separator: '', body: 'From a\r\nhello' },
  { name: 'no body, no separator', input: 'A: 1\r\nB: 2\r\n', names: ['A', 'B'], separator: '', body: '' },
  { name: 'last line unended', input: 'A: 1\r\nB: 2', names: ['A', 'B'], separator: '', body: '' },
  { name: 'empty message', input: '', names: [], separator: '', body: '' },
];

for (const { name, input, names, separator, body } of cases) {
  test(`layout: ${name}`, (t) => {
    for (const source of [memorySource(input), fileSource(t, input)]) {
      const block = readHeader(source);
      const found = block.starts.map((start, at) =>
        block.bytes.toString('latin1', start, Math.max(start, block.nameEnds[at]!)),
      );
      assert.deepEqual(found, names);
      assert.equal(block.separator.toString('latin1'), separator);
      assert.equal(input.slice(block.bodyStart), body);
      assert.equal(block.bytes.toString('latin1') + separator + body, input);
    }
  });
}

test('an empty line past the scanned part does not count', () => {
  const long = `A: ${'x'.repeat(100)}\r\n`;
  assert.equal(parseHeader(Buffer.from(`${long}\r\n`), 50), headerTooLarge);
  assert.notEqual(parseHeader(Buffer.from(`${long}\r\n`), long.length), headerTooLarge);
  assert.equal(parseHeader(Buffer.from(`${long}\r\n`), long.length - 1), headerTooLarge);
});

test('a cut last line is not taken for the begin of the body', () => {
  assert.equal(parseHeader(Buffer.from(`A: 1\r\n${'B'.repeat(100)}: 2\r\n\r\n`), 50), headerTooLarge);
});

test('values: unfolded, trimmed, UTF-8 before Latin-1', () => {
  const value = (raw: string) => fieldValue(Buffer.from(raw, 'latin1'));
  assert.equal(value('A: 1\r\n 2\n\t3 \r\n'), '1 2\t3');
  assert.equal(value('A:1\r\n'), '1');
  assert.equal(value('A:\r\n'), '');
  assert.equal(value('A: gr\xc3\xbc\xc3\x9fe\r\n'), 'grüße');
  assert.equal(value('A: gr\xfc\xdfe\r\n'), 'grüße');
});

test('the name is compared without case and as a whole', () => {
  const block = readHeader(memorySource('SubJect: 1\r\nSubjects: 2\r\nSubjec: 3\r\n\r\n'));
  assert.equal(block.countNamed('subject'), 1);
});

const judged: { name: string; message: string; want: string | undefined }[] = [
  { name: 'ordinary', message: 'A: 1\r\n\r\nbody', want: undefined },
  { name: 'too many fields', message: `${'A: 1\r\n'.repeat(5001)}\r\n`, want: '554 5.6.0' },
  { name: 'fields at the limit', message: `${'A: 1\r\n'.repeat(5000)}\r\n`, want: undefined },
  { name: 'too large', message: `A: ${'x'.repeat(2 ** 20)}\r\n\r\n`, want: '552 5.3.4' },
  { name: 'far too large', message: `A: ${'x'.repeat(headerScanBytesMax)}\r\n\r\n`, want: '552 5.3.4' },
  { name: 'a loop', message: `${'received: by x\r\n'.repeat(101)}\r\n`, want: '554 5.4.6' },
  { name: 'a long way', message: `${'Received: by x\r\n'.repeat(100)}\r\n`, want: undefined },
  { name: 'a body without lines', message: 'x'.repeat(5 * 2 ** 20), want: undefined },
];
for (const { name, message, want } of judged) {
  test(`judge: ${name}`, (t) => {
    for (const source of [memorySource(message), fileSource(t, message)]) {
      const reply = judgeHeader(source, defaultLimits);
      assert.equal(reply && `${reply.code} ${reply.enhanced}`, want);
    }
  });
}

test('100,000 fields and a 10 MB line are judged in bounded time', () => {
  const started = performance.now();
  assert.equal(judgeHeader(memorySource(`${'A: 1\r\n'.repeat(100_000)}\r\n`), defaultLimits)?.code, 554);
  assert.equal(judgeHeader(memorySource(`A: ${'x '.repeat(5e6)}\r\n\r\n`), defaultLimits)?.code, 552);
  // Three orders of magnitude above what it takes.
  assert.ok(performance.now() - started < 10_000);
});

test('a spool file that is gone or short is a temporary error', (t) => {
  const source = fileSource(t, 'A: 1\r\n\r\n');
  assert.throws(() => readHeader({ ...source, path: `${source.path}.gone` }), {
    code: 'spool-unreadable',
    temporary: true,
  });
  assert.throws(() => readHeader({ ...source, length: 100 }), { code: 'spool-unreadable', temporary: true });
});
