/** Authentication-Results: written, read, and forged ones found. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type AuthResult,
  formatAuthenticationResults,
  isOurs,
  parseAuthenticationResults,
} from '../../../core/mail/authentication-results.ts';
import { checkField } from '../../../core/mail/format-field.ts';

test('written', () => {
  assert.equal(
    formatAuthenticationResults('mx.example.test', [
      { method: 'spf', result: 'pass', properties: { 'smtp.mailfrom': 'a@b.test' } },
      {
        method: 'dkim',
        result: 'fail',
        reason: 'bad "signature"',
        properties: { 'header.d': 'b.test', 'header.b': 'aB/c=' },
      },
    ]),
    'mx.example.test;\r\n\tspf=pass smtp.mailfrom=a@b.test;\r\n\tdkim=fail reason="bad \\"signature\\"" header.d=b.test header.b="aB/c="',
  );
  assert.equal(formatAuthenticationResults('mx.example.test', []), 'mx.example.test;\r\n\tnone');
});

test('property: what is written is read back, and nothing breaks out', () => {
  const text = fc.oneof(fc.string({ maxLength: 40 }), fc.stringMatching(/^[;="()\\@ .a-z\r\n]{0,30}$/));
  const result: fc.Arbitrary<AuthResult> = fc.record({
    method: fc.constantFrom('spf', 'dkim', 'dmarc'),
    result: fc.constantFrom('pass', 'fail', 'none'),
    reason: text,
    properties: fc.dictionary(fc.constantFrom('smtp.mailfrom', 'header.d', 'policy.x'), text),
  });
  fc.assert(
    fc.property(fc.array(result, { maxLength: 4 }), (results) => {
      const value = formatAuthenticationResults('mx.example.test', results);
      assert.equal(checkField('Authentication-Results', value), undefined);
      const read = parseAuthenticationResults(value);
      assert.equal(read?.authservId, 'mx.example.test');
      const verdicts = (all: readonly AuthResult[]) =>
        all.map(({ method, result: word }) => `${method}=${word}`);
      assert.deepEqual(verdicts(read.results), verdicts(results));
      const clean = (given: string) => given.replace(/[\0-\x1f\x7f]+/g, ' ');
      read.results.forEach((one, at) => {
        const { properties = {}, reason } = results[at]!;
        const want = Object.entries(properties).map(([name, given]) => [name, clean(given)]);
        assert.deepEqual(one.properties ?? {}, Object.fromEntries(want));
        assert.equal(one.reason ?? '', clean(reason ?? ''));
      });
    }),
  );
});

const ours: [string, boolean][] = [
  ['mx.example.test; spf=pass', true],
  ['MX.Example.Test;none', true],
  [' mx.example.test 1; spf=pass', true],
  ['mx.example.test/1; spf=pass', true],
  ['mx.example.test', true],
  ['mx.example.test.; spf=pass', true],
  ['"mx.example.test"; spf=pass', true],
  ['(hi) mx.example.test (there); spf=pass', true],
  ['(unended mx.example.test; spf=pass', true],
  ['=?utf-8?q?mx.example.test?=; spf=pass', true],
  ['other.test; spf=pass smtp.mailfrom=mx.example.test', false],
  ['xmx.example.test; spf=pass', false],
  ['mx.example.test.evil.test; spf=pass', false],
  ['(mx.example.test) other.test; spf=pass', false],
  ['', false],
];
for (const [value, want] of ours) {
  test(`ours? ${JSON.stringify(value)}`, () => assert.equal(isOurs(value, 'mx.example.test'), want));
}
test('ours in another script', () => {
  assert.ok(isOurs('bücher.example; none', 'xn--bcher-kva.example'));
  assert.ok(isOurs('xn--bcher-kva.example; none', 'bücher.example'));
});

const read: [string, unknown][] = [
  [
    'example.com 1; spf = pass (because) smtp . mailfrom = a@b.test; dkim/1=fail reason=bad header.i=@b.test',
    {
      authservId: 'example.com',
      results: [
        { method: 'spf', result: 'pass', properties: { 'smtp.mailfrom': 'a@b.test' } },
        { method: 'dkim', result: 'fail', reason: 'bad', properties: { 'header.i': '@b.test' } },
      ],
    },
  ],
  ['example.com; none', { authservId: 'example.com', results: [] }],
  ['example.com; spf', undefined],
  ['example.com; spf=pass nonsense', undefined],
  ['example.com; spf=pass "unended', undefined],
  ['; spf=pass', undefined],
];
for (const [value, want] of read) {
  test(`read ${JSON.stringify(value)}`, () => assert.deepEqual(parseAuthenticationResults(value), want));
}
