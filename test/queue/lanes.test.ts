/** Whose turn it is: fairness between destinations and senders, slow start, rest and rate, all by arithmetic. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { queueLimits } from '../../core/base/limits/outbound.ts';
import { type Feedback, type LaneLimits, Lanes, ownLane } from '../../src/queue/lanes.ts';

const limits = (
  more: Partial<{ own: number; total: number; window: number; perMinute: number }> = {},
): LaneLimits => {
  const { own = 2, total = 100, window = 20, perMinute = 0 } = more;
  return { own, total, of: () => ({ window, perMinute }) };
};

/** Begins all that may begin; answers them as `destination/sender`. */
function begin(lanes: Lanes, now: number, most = 50): string[] {
  const begun: string[] = [];
  for (let lane = lanes.next(now); lane !== undefined && begun.length < most; lane = lanes.next(now)) {
    lanes.begun(lane, now);
    begun.push(`${lane.destination}/${lane.sender}`);
  }
  return begun;
}
const end = (lanes: Lanes, destination: string, feedback: Feedback, now = 0) =>
  lanes.ended({ destination, sender: 'a' }, feedback, now);

test('destinations take turns, and senders within each', () => {
  const lanes = new Lanes(limits({ total: 8 }));
  for (const [at, sender] of ['list', 'ann', 'bob'].entries()) lanes.offer('big.test', sender, at);
  lanes.offer('small.test', 'ann', 4);
  assert.deepEqual(begin(lanes, 4), [
    'big.test/list',
    'small.test/ann',
    'big.test/ann',
    'small.test/ann',
    'big.test/bob',
    'small.test/ann',
    'big.test/list',
    'small.test/ann',
  ]);
});

test('nothing before it is due, and what is empty leaves the line', () => {
  const lanes = new Lanes(limits());
  lanes.offer('x.test', 'a', 100);
  assert.equal(lanes.next(99), undefined);
  assert.equal(lanes.nextAt(), 100);
  const lane = lanes.next(100)!;
  lanes.empty(lane, 500);
  assert.equal(lanes.next(499), undefined);
  assert.equal(lanes.next(500)?.destination, 'x.test');
  lanes.empty(lane, undefined);
  assert.equal(lanes.next(1e9), undefined);
  assert.equal(lanes.nextAt(), undefined);
});

test('an earlier offer counts, a later one does not', () => {
  const lanes = new Lanes(limits());
  lanes.offer('x.test', 'a', 100);
  lanes.offer('x.test', 'a', 50);
  lanes.offer('x.test', 'a', 200);
  assert.equal(lanes.next(50)?.destination, 'x.test');
});

test('slow start: five at once, one more for each success, half after a failure', () => {
  const lanes = new Lanes(limits({ window: 8 }));
  lanes.offer('x.test', 'a', 0);
  assert.equal(begin(lanes, 0).length, queueLimits.destinationWindowFirst);
  for (let ended = 0; ended < 5; ended++) end(lanes, 'x.test', 'up');
  assert.equal(begin(lanes, 0).length, 8);
  end(lanes, 'x.test', 'down');
  assert.equal(begin(lanes, 0).length, 0, 'seven still run, and four may');
});

test('a dead destination rests, longer each time, and one attempt tells that it is back', () => {
  const lanes = new Lanes(limits());
  let now = 0;
  const rests: number[] = [];
  for (let round = 0; round < 9; round++) {
    lanes.offer('dead.test', 'a', now);
    const begun = begin(lanes, now).length;
    let rested = false;
    for (let index = 0; index < begun; index++) rested = end(lanes, 'dead.test', 'down', now) || rested;
    if (!rested) continue;
    const [rest] = lanes.resting(now);
    rests.push(rest!.until - now);
    assert.equal(lanes.next(rest!.until - 1), undefined);
    now = rest!.until;
    if (round > 0) assert.equal(begun <= 5, true);
  }
  assert.equal(rests[0], queueLimits.destinationRestMs);
  assert.equal(Math.max(...rests), queueLimits.destinationRestMsMax);
  assert.equal(begin(lanes, now).length, 1, 'one attempt alone');
  end(lanes, 'dead.test', 'up', now);
  assert.deepEqual(lanes.resting(now), []);
  assert.equal(begin(lanes, now).length, 2);
});

test('others are not held up by it, and our own work never rests', () => {
  const lanes = new Lanes(limits({ total: 5, own: 2 }));
  lanes.offer('slow.test', 'a', 0);
  assert.equal(begin(lanes, 0).length, 5);
  lanes.offer('other.test', 'a', 0);
  lanes.offer(ownLane, '', 0);
  assert.deepEqual(begin(lanes, 0), ['/', '/'], 'all places are taken but our own');
  for (let index = 0; index < 10; index++) {
    assert.equal(lanes.ended({ destination: ownLane, sender: '' }, 'down', 0), false);
    begin(lanes, 0);
  }
  end(lanes, 'slow.test', 'none');
  end(lanes, 'slow.test', 'none');
  assert.deepEqual(begin(lanes, 0).sort(), ['other.test/a', 'slow.test/a'], 'each its turn');
});

test('a rate spreads the mail over the minute', () => {
  const lanes = new Lanes(limits({ perMinute: 60 }));
  lanes.offer('x.test', 'a', 0);
  assert.equal(begin(lanes, 0).length, 1);
  assert.equal(begin(lanes, 999).length, 0);
  assert.equal(begin(lanes, 1000).length, 1);
  assert.equal(lanes.nextAt(), 2000);
});

test('an operator wakes a destination at rest', () => {
  const lanes = new Lanes(limits());
  lanes.offer('x.test', 'a', 0);
  for (const _ of begin(lanes, 0)) end(lanes, 'x.test', 'down');
  assert.equal(lanes.next(1), undefined);
  lanes.wake('x.test');
  assert.equal(lanes.next(1)?.destination, 'x.test');
});

test('a hundred thousand lanes cost a moment', () => {
  const lanes = new Lanes(limits({ total: 100_000 }));
  const start = process.cpuUsage();
  for (let index = 0; index < 100_000; index++) lanes.offer(`d${index % 1000}.test`, `s${index}`, index % 7);
  const begun = begin(lanes, 10, 5000);
  assert.equal(begun.length, 5000);
  assert.equal(new Set(begun).size, 5000, 'five for each of a thousand, none twice');
  // Of the processor, so that a busy machine is no reason to fail: anything quadratic takes minutes.
  assert.ok(process.cpuUsage(start).user < 10e6);
});
