/** What one thread learns of a daemon the others know, and one alone tells of it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { daemonLimits } from '../../../core/base/limits/filters.ts';
import { daemonSlot, shareDaemonBoard } from '../../../core/net/daemon-board.ts';

const start = 1_000_000;
const { restMsMin, failuresMax, boardSlots } = daemonLimits;

test('before there is a board every user has its own', () => {
  assert.ok(daemonSlot('clamd private').fails(start, 'gone', true));
  assert.equal(daemonSlot('clamd private').claim(start, start + 1), 'serves');
});

test('two threads: the first tells that it is down, the second goes round it, and one tries it later', async () => {
  shareDaemonBoard();
  const inThread = async (now: number) => {
    const workerData = { name: 'clamd here', now };
    const thread = new Worker(new URL('daemon-board-thread.ts', import.meta.url), { workerData });
    const [answer] = await once(thread, 'message');
    return answer;
  };
  assert.deepEqual(await inThread(start), {
    claim: 'serves',
    down: { failures: 1, restMs: restMsMin },
  });
  const slot = daemonSlot('clamd here');
  assert.equal(slot.claim(start + 1, start + 1000), 'rests');
  assert.equal(slot.reason, 'nobody there');
  assert.equal(daemonSlot('clamd elsewhere').claim(start, start + 1), 'serves');
  // A question that was under way when it fell.
  assert.equal(slot.fails(start + 1, 'late', true), undefined);

  const later = start + restMsMin + 2;
  assert.equal(slot.claim(later, later + 500), 'trial');
  assert.deepEqual(await inThread(later), { claim: 'rests', down: undefined });
  slot.release();
  assert.equal(slot.serves(), true);
  assert.equal(slot.serves(), false);
  assert.equal(daemonSlot('clamd here').claim(later, later + 1), 'serves');
});

test('a trial whose thread died holds up the next only until its deadline', () => {
  const slot = daemonSlot('clamd lost');
  slot.fails(start, 'gone', true);
  const later = start + restMsMin + 2;
  assert.equal(slot.claim(later, later + 500), 'trial');
  assert.equal(slot.claim(later + 499, later + 999), 'rests');
  assert.equal(slot.claim(later + 500, later + 1000), 'trial');
});

test('a clock that is set back prolongs no rest', () => {
  const slot = daemonSlot('clamd clock');
  slot.fails(start, 'gone', true);
  assert.equal(slot.claim(start - 3_600_000, start), 'trial');
});

test('one that is there and fails rests after some failures in a row', () => {
  const slot = daemonSlot('clamd stumbles');
  for (let n = 1; n < failuresMax; n += 1) assert.equal(slot.fails(start, 'odd', false), undefined);
  assert.deepEqual(slot.fails(start, 'odd', false), { failures: failuresMax, restMs: restMsMin });
});

test('more daemons than the board has room for still rest, each user for itself', () => {
  const slots = Array.from({ length: boardSlots + 5 }, (_, n) => daemonSlot(`clamd number ${n}`));
  for (const slot of slots) assert.ok(slot.fails(start, 'gone', true));
  for (const slot of slots) assert.equal(slot.claim(start, start + 1), 'rests');
});
