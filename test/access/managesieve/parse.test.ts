/** The ManageSieve parser: tables, and any octets at all. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommandParser, type Parsed } from '../../../src/access/managesieve/parse.ts';
import { formatString } from '../../../src/access/managesieve/write.ts';
import { randomSource } from '../../kit/random.ts';

function parse(line: string): Parsed {
  return new CommandParser().line(Buffer.from(line, 'latin1'));
}

const string = (text: string) => ({ kind: 'string', bytes: Buffer.from(text) });

const cases: readonly (readonly [input: string, want: object])[] = [
  ['noop', { kind: 'command', name: 'NOOP', arguments: [] }],
  ['  LogOut  ', { kind: 'command', name: 'LOGOUT', arguments: [] }],
  [
    'HAVESPACE "a b" 123',
    { kind: 'command', name: 'HAVESPACE', arguments: [string('a b'), { kind: 'number', value: 123 }] },
  ],
  ['X "q\\"\\\\"', { kind: 'command', name: 'X', arguments: [string('q"\\')] }],
  ['"*"', { kind: 'string', bytes: Buffer.from('*') }],
  ['X {12+}', { kind: 'literal', length: 12 }],
  ['', { kind: 'syntax', problem: 'an empty line is no command' }],
  ['12', { kind: 'syntax', problem: 'a command begins with its name' }],
  ['X {12}', { kind: 'syntax', problem: 'a literal is {octets+} at the end of a line' }],
  ['X {12+} y', { kind: 'syntax', problem: 'a literal is {octets+} at the end of a line' }],
  ['X "a', { kind: 'syntax', problem: 'a quoted string has no end' }],
  ['X "\\n"', { kind: 'syntax', problem: 'a backslash stands before " or \\ only' }],
  ['X "a""b"', { kind: 'syntax', problem: 'arguments are parted by a space' }],
  ['X (', { kind: 'syntax', problem: 'a word, a number or a string was expected' }],
  [`X${' a'.repeat(100)}`, { kind: 'syntax', problem: 'too many arguments' }],
];

for (const [input, want] of cases) {
  test(`parse ${JSON.stringify(input).slice(0, 40)}`, () => assert.deepEqual(parse(input), want));
}

test('literals within a command, and a fresh start after it', () => {
  const parser = new CommandParser();
  assert.deepEqual(parser.line(Buffer.from('PUTSCRIPT {1+}')), { kind: 'literal', length: 1 });
  parser.literal(Buffer.from('n'));
  assert.deepEqual(parser.line(Buffer.from(' {2+}')), { kind: 'literal', length: 2 });
  parser.literal(Buffer.from('xy'));
  assert.deepEqual(parser.line(Buffer.from('')), {
    ...{ kind: 'command', name: 'PUTSCRIPT' },
    arguments: [string('n'), string('xy')],
  });
  assert.deepEqual(parser.line(Buffer.from('NOOP')), { kind: 'command', name: 'NOOP', arguments: [] });
});

test('any octets give a command, a string, a literal or a problem, and what was written is read back', () => {
  const random = randomSource('managesieve-parse');
  const pieces = ['"', '\\', '{', '}', '+', '5', '{3+}', ' ', 'PUTSCRIPT', '\x00', '\r', '\xff', '*', 'a'];
  const text = (length: number) => Array.from({ length }, () => random.pick(pieces)).join('');
  const kinds = new Set<string>();
  for (const until = performance.now() + 1000; performance.now() < until; ) {
    const parser = new CommandParser();
    for (let part = 0; part < 4; part += 1) {
      const parsed = parser.line(Buffer.from(text(random.below(20)), 'latin1'));
      kinds.add(parsed.kind);
      if (parsed.kind === 'literal') parser.literal(Buffer.alloc(3));
    }
    const quoted = text(9).replace(/[\0\r]/g, '');
    assert.deepEqual(new CommandParser().line(Buffer.from(formatString(quoted))), string(quoted));
  }
  assert.deepEqual([...kinds].sort(), ['command', 'literal', 'string', 'syntax']);
});
