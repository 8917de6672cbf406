/** procmail's expressions: what they match, where MATCH begins, and that none runs away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PatternError } from '../../../rules/procmail/expression.ts';
import { compilePattern } from '../../../rules/procmail/pattern.ts';
import { extract, Search } from '../../../rules/procmail/search.ts';

const matches = (expression: string, text: string, caseSensitive = false) =>
  new Search(compilePattern(expression, { caseSensitive })).find(Buffer.from(text, 'latin1')) >= 0;

const table: readonly (readonly [name: string, expression: string, text: string, want: boolean])[] = [
  ['letters of either case', 'HELLO', 'say hello', true],
  ['^ before the first line', '^a', 'a\nb', true],
  ['^ before any line', '^b', 'a\nb', true],
  ['$ after the last octet', 'b$', 'a\nb', true],
  ['$ is the newline itself', 'a$b', 'a\nb', true],
  ['^^ at the beginning', '^^b', 'a\nb', false],
  ['^^ at the end', 'b^^', 'a\nb', true],
  ['^^ at the end after a newline that was used', '(\\<|a)[^ ]*^^', '', true],
  ['. is no newline', 'a.b', 'a\nb', false],
  ['a negated set holds no newline', 'a[^x]b', 'a\nb', false],
  ['\\< is one octet, a newline too', '\\<b', 'a\nb', true],
  ['\\< is no octet of a word', '\\<b', 'ab', false],
  ['a second sign stands for itself', 'ab**', 'ab*', true],
  ['a second sign is no repetition', '^^ab**^^', 'abb', false],
  ['a ) too many ends it', 'a)zzz', 'a', true],
  ['a ( that is never closed', '(ab', 'ab', true],
  ['a [ that is never closed', 'q[ab', 'qb', true],
  ['a range the wrong way round is its ends', 'q[z-b]', 'qb', true],
  ['and nothing between', 'q[z-b]', 'qm', false],
  ['^TO_ finds whole words', '^TO_bob', 'To: ann, bob@x', true],
  ['^TO_ does not find parts', '^TO_ob', 'To: bob@x', false],
  ['^FROM_DAEMON', '^FROM_DAEMON', 'Precedence: bulk', true],
  ['^FROM_MAILER leaves lists alone', '^FROM_MAILER', 'Precedence: bulk', false],
];
for (const [name, expression, text, want] of table) {
  test(`${name}: ${expression}`, () => assert.equal(matches(expression, text), want));
}

test('D tells cases apart', () => {
  assert.equal(matches('hello', 'HELLO', true), false);
  assert.equal(matches('[a-z]ELLO', 'hELLO', true), true);
});

const extracts: readonly (readonly [expression: string, text: string, want: string])[] = [
  ['^Subject: \\/.*', 'From: x\nSubject: hello world\n', 'hello world'],
  ['ba*\\/a*', 'baaa', 'aaa'],
  ['^To:.*\\/[a-z]+@', 'To: ann@x', 'ann@'],
  ['()\\/x+', 'axxb', 'xx'],
];
for (const [expression, text, want] of extracts) {
  test(`MATCH of ${expression}`, () => {
    const found = extract(compilePattern(expression, { caseSensitive: false }), Buffer.from(text));
    assert.ok(found);
    assert.equal(text.slice(found.start, found.end), want);
  });
}

test('expressions that run away elsewhere take their time once', () => {
  const text = `${'a'.repeat(100_000)}!`;
  const start = process.cpuUsage().user;
  for (const expression of ['(a+)+$x', '(a|a)*b', '(.*)*(.*)*q', 'a*a*a*a*a*b']) {
    assert.equal(matches(expression, text), false);
  }
  assert.ok(process.cpuUsage().user - start < 5_000_000, 'seconds of processor time');
});

test('what is too deep or too long is an error of its own', () => {
  assert.throws(() => compilePattern('('.repeat(10_000), { caseSensitive: false }), PatternError);
  assert.throws(() => compilePattern('x'.repeat(100_000), { caseSensitive: false }), PatternError);
});
