/** Dates and Message-IDs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatDate, makeMessageId, parseDate } from '../../../core/mail/date.ts';

test('written in UTC', () => {
  assert.equal(formatDate(Date.UTC(2026, 10, 21, 6, 13, 4, 999)), 'Sat, 21 Nov 2026 06:13:04 +0000');
  assert.equal(formatDate(0), 'Thu, 1 Jan 1970 00:00:00 +0000');
  assert.equal(formatDate(Date.UTC(2024, 1, 29)), 'Thu, 29 Feb 2024 00:00:00 +0000');
});

test('property: what is written is read back', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 253_402_300_799 }), (second) => {
      assert.equal(parseDate(formatDate(second * 1000)), second * 1000);
    }),
  );
});

const dates: [string, number | undefined][] = [
  ['Fri, 20 Nov 2026 10:00:00 +0100', Date.UTC(2026, 10, 20, 9)],
  ['20 Nov 2026 10:00 -0130', Date.UTC(2026, 10, 20, 11, 30)],
  ['Fri, 20 Nov 2026 10:00:00 +0100 (CET)', Date.UTC(2026, 10, 20, 9)],
  ['Fri,  20  nov 26 10:00:00 EST', Date.UTC(2026, 10, 20, 15)],
  ['20 Nov 99 10:00:00 Z', Date.UTC(1999, 10, 20, 10)],
  ['20 Nov 126 10:00:00 GMT', Date.UTC(2026, 10, 20, 10)],
  ['31 Dec 2016 23:59:60 +0000', Date.UTC(2017, 0, 1)],
  ['30 Feb 2026 10:00:00 +0000', undefined],
  ['20 Foo 2026 10:00:00 +0000', undefined],
  ['20 Nov 2026 24:00:00 +0000', undefined],
  ['yesterday', undefined],
  ['', undefined],
  [`20 Nov 2026 10:00:00 +0000${' '.repeat(200)}x`, undefined],
];
for (const [text, want] of dates)
  test(`read ${JSON.stringify(text.slice(0, 40))}`, () => assert.equal(parseDate(text), want));

test('Message-IDs differ', () => {
  const ids = new Set(Array.from({ length: 1000 }, () => makeMessageId('mx.example.test', 5)));
  assert.equal(ids.size, 1000);
  for (const id of ids) assert.match(id, /^<[a-z0-9.]+@mx\.example\.test>$/);
});
