/** Delays, jitter and expiry as numbers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isExpired, nextAttemptAt, retryDelayMs } from '../../src/queue/schedule.ts';

const schedule = { retrySeconds: [60, 300, 900], expireSeconds: 432_000 };
const delays: { name: string; attempts: number; random: number; want: number }[] = [
  { name: 'the first', attempts: 1, random: 0.5, want: 60_000 },
  { name: 'the second', attempts: 2, random: 0.5, want: 300_000 },
  { name: 'the last repeats', attempts: 30, random: 0.5, want: 900_000 },
  { name: 'a tenth less at most', attempts: 1, random: 0, want: 54_000 },
  { name: 'a tenth more at most', attempts: 1, random: 1, want: 66_000 },
];
for (const { name, attempts, random, want } of delays) {
  test(`delay: ${name}`, () => assert.equal(retryDelayMs(schedule, attempts, random), want));
}

test('no delay, or none given, is still no busy loop', () => {
  assert.equal(retryDelayMs({ ...schedule, retrySeconds: [0] }, 5, 0.5), 100);
  assert.equal(retryDelayMs({ ...schedule, retrySeconds: [] }, 1, 0.5), 60_000);
});

test('the last attempt falls upon the expiry', () => {
  const at = (expiresAt: number) => nextAttemptAt(schedule, { attempts: 3, expiresAt }, 1_000_000, 0.5);
  assert.equal(at(9_000_000), 1_900_000);
  assert.equal(at(1_500_000), 1_500_000);
  assert.equal(at(900_000), 1_000_100);
  assert.equal(isExpired({ expiresAt: 5 }, 4), false);
  assert.equal(isExpired({ expiresAt: 5 }, 5), true);
});
