/** The grammar of HOLDFOR, HOLDUNTIL, BY and MT-PRIORITY, and what is left of a time. RFC 4865, RFC 2852, RFC 6710. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatDeliverBy,
  readDeliverBy,
  readFutureRelease,
  readPriority,
} from '../../../core/mail/timed-parameters.ts';

const now = Date.UTC(2026, 0, 1);

for (const [value, at] of [
  ['1', now + 1000],
  ['999999999', now + 999_999_999_000],
  ['0', undefined],
  ['01', undefined],
  ['1000000000', undefined],
  ['1.5', undefined],
] as const) {
  test(`HOLDFOR=${value}`, () => assert.equal(readFutureRelease('HOLDFOR', value, now)?.at, at));
}

for (const [value, at] of [
  ['2026-01-01T00:00:01Z', now + 1000],
  ['2026-01-01T01:00:01+01:00', now + 1000],
  ['2026-01-01t00:00:01.5z', now + 1500],
  ['2026-01-01T00:00:00Z', undefined],
  ['2025-12-31T23:59:59Z', undefined],
  ['2026-13-01T00:00:00Z', undefined],
  ['2026-02-01', undefined],
  ['2026-02-01T00:00:00', undefined],
] as const) {
  test(`HOLDUNTIL=${value}`, () => assert.equal(readFutureRelease('HOLDUNTIL', value, now)?.at, at));
}

test('a deadline goes on as what is left of it', () => {
  const deadline = readDeliverBy('120;rT', now)!;
  assert.deepEqual(deadline, { until: now + 120_000, mode: 'return', trace: true });
  assert.equal(formatDeliverBy(deadline, now + 20_500), '99;RT');
  assert.equal(formatDeliverBy(readDeliverBy('+5;N', now)!, now + 65_000), '-60;N');
});

for (const [value, priority] of [
  ['9', 9],
  ['-9', -9],
  ['0', 0],
  ['-0', undefined],
  ['10', undefined],
  ['+1', undefined],
] as const) {
  test(`MT-PRIORITY=${value}`, () => assert.equal(readPriority(value), priority));
}
