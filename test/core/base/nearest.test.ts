/** Which known word a mistyped one is taken for, and when there is none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from '../../../core/base/nearest.ts';

const known = ['zones', 'action', 'score', 'skipPrivate', 'testPoints'];

const cases: readonly [word: string, want: string | undefined][] = [
  ['zone', 'zones'],
  ['zonse', 'zones'],
  ['ACTION', 'action'],
  ['skipprivte', 'skipPrivate'],
  ['testpoint', 'testPoints'],
  ['timeout', undefined],
  ['x', undefined],
  ['', undefined],
];

for (const [word, want] of cases) {
  test(`"${word}" is ${want ?? 'none of them'}`, () => assert.equal(nearest(word, known), want));
}

test('the nearest of several is meant', () =>
  assert.equal(nearest('scare', ['scale', 'scared', 'score']), 'scale'));
