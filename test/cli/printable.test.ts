/** Text of strangers on a terminal: nothing of it moves the cursor, sets a title or turns the writing around. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { printable, printableText } from '../../src/cli/printable.ts';

const cases: readonly [name: string, input: string, line: string, text: string][] = [
  ['letters of all scripts', 'Grüße, 会議', 'Grüße, 会議', 'Grüße, 会議'],
  ['an escape sequence', '\x1b]0;title\x07', '\\x1b]0;title\\x07', '\\x1b]0;title\\x07'],
  ['C1 controls', '\x9b2J\x85', '\\x9b2J\\x85', '\\x9b2J\\x85'],
  ['a right-to-left override', 'a\u202egpj.exe', 'a\\u202egpj.exe', 'a\\u202egpj.exe'],
  ['line ends and tabs', 'a\r\n\tb\n', 'a\\x0d\\x0a\\x09b\\x0a', 'a\n\tb\n'],
  ['a bare CR, which overwrites the line', 'spam\rham', 'spam\\x0dham', 'spam\\x0dham'],
];
for (const [name, input, line, text] of cases) {
  test(name, () => {
    assert.equal(printable(input), line);
    assert.equal(printableText(input), text);
  });
}
