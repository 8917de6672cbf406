/** The reader of JSON with comments: what it takes, what it reports, and where. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { lineAndColumn, parseJsonc } from '../../../core/config/jsonc.ts';

const readable: readonly { name: string; input: string; want: unknown }[] = [
  { name: 'comments of both kinds', input: '// a\n{ "a": /* b */ 1 } // c', want: { a: 1 } },
  { name: 'a comment at the very end without a line end', input: '1 //', want: 1 },
  { name: 'trailing commas', input: '{ "a": [1, 2,], }', want: { a: [1, 2] } },
  { name: 'a byte order mark', input: '\ufeff[true]', want: [true] },
  { name: 'comment marks within strings', input: '"http://x /* y */"', want: 'http://x /* y */' },
  { name: 'every escape', input: '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9"', want: '"\\/\b\f\n\r\té' },
  { name: 'an escaped quote before the end', input: '"\\\\"', want: '\\' },
  { name: 'numbers', input: '[-0.5e3, 0, 12]', want: [-500, 0, 12] },
  { name: 'keys with slash and tilde', input: '{ "a/b~c": null }', want: { 'a/b~c': null } },
];
for (const { name, input, want } of readable) {
  test(`reads ${name}`, () => {
    const document = parseJsonc(input);
    assert.deepEqual(document.problems, []);
    assert.deepEqual(document.value, want);
  });
}

const broken: readonly { name: string; input: string; at: string; found: string; expected: RegExp }[] = [
  { name: 'nothing', input: '', at: '1:1', found: 'the end of the file', expected: /a value/ },
  { name: 'a missing brace', input: '{ "a": 1', at: '1:9', found: 'the end of the file', expected: /, or }/ },
  { name: 'a missing comma', input: '{ "a": 1\n  "b": 2 }', at: '1:9', found: '"b"', expected: /^, or }$/ },
  {
    name: 'a key without quotes',
    input: '{ a: 1 }',
    at: '1:3',
    found: 'a',
    expected: /key in double quotes/,
  },
  { name: 'a key twice', input: '{ "a": 1,\n "a": 2 }', at: '2:2', found: '"a" again', expected: /once/ },
  {
    name: 'a string that ends with the line',
    input: '["a\n"]',
    at: '1:2',
    found: 'the end of the line',
    expected: /closing/,
  },
  { name: 'an unknown escape', input: '"\\x"', at: '1:2', found: '\\x', expected: /one of/ },
  { name: 'a leading zero', input: '[01]', at: '1:3', found: '1', expected: /, or ]/ },
  { name: 'an open comment', input: '{ /* a', at: '1:3', found: 'a comment without end', expected: /\*\// },
  { name: 'something after the value', input: '{} x', at: '1:4', found: 'x', expected: /end of the file/ },
  { name: '__proto__', input: '{ "__proto__": {} }', at: '1:14', found: '"__proto__"', expected: /another/ },
];
for (const { name, input, at, found, expected } of broken) {
  test(`reports ${name}`, () => {
    const [problem] = parseJsonc(input).problems;
    assert.ok(problem);
    const { line, column } = lineAndColumn(input, problem.offset);
    assert.equal(`${line}:${column}`, at);
    assert.equal(problem.found, found);
    assert.match(problem.expected, expected);
  });
}

test('a forgotten comma does not hide the mistakes after it', () => {
  const document = parseJsonc('{ "a": 1 "b": [2 3] "c": 4 }');
  assert.equal(document.problems.length, 3);
  assert.deepEqual(document.value, { a: 1, b: [2, 3], c: 4 });
});

test('deep nesting ends with a report, not with the stack', () => {
  assert.match(parseJsonc('['.repeat(100_000)).problems[0]?.expected ?? '', /levels/);
});

test('places of keys and values by JSON pointer', () => {
  const { places } = parseJsonc('{ "a": [ { "b": 7 } ] }');
  assert.deepEqual(places.get('/a/0/b'), { key: 11, value: 16 });
  assert.deepEqual(places.get('/a/0'), { key: undefined, value: 9 });
});

test('reads what JSON.parse reads, to the same value', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.boolean(), (value, indented) => {
      const text = JSON.stringify(value, null, indented ? 2 : 0);
      if (text.includes('"__proto__"')) return;
      const document = parseJsonc(text);
      assert.deepEqual(document.problems, []);
      assert.deepEqual(document.value, JSON.parse(text));
    }),
  );
});

test('never throws, whatever the text', () => {
  const pieces = [
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '\\',
    '/*',
    '*/',
    '//',
    '\n',
    'a',
    '1',
    '-',
    'true',
    '\u0000',
  ];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 40 }), (parts) => {
      parseJsonc(parts.join(''));
    }),
  );
});
