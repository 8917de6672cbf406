/** A slow plugin holds up nobody but its own message. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { entry, open, request } from './pipeline-kit.ts';

test('500 messages pass while 200 wait in a plugin of the same thread', async () => {
  await using house = await open({ inbound: [entry('wait')] });
  let held = 0;
  const waiting = Array.from({ length: 200 }, () =>
    house.pipelines.run(request('X-Wait: 3000\n\nx')).then((outcome) => {
      held += 1;
      return outcome;
    }),
  );
  const quick = await Promise.all(Array.from({ length: 500 }, () => house.pipelines.run(request('\n\nx'))));
  assert.equal(held, 0, 'a held message came out before the last quick one');
  assert.equal(
    quick.every(({ verdict }) => verdict.action === 'continue'),
    true,
  );
  const slow = await Promise.all(waiting);
  assert.equal(
    slow.every(({ state }) => state.results.wait === 3000),
    true,
  );
});

test('more requests than a thread carries wait their turn and pass', async () => {
  await using house = await open({ inbound: [entry('wait')] });
  const outcomes = await Promise.all(
    Array.from({ length: 2500 }, () => house.pipelines.run(request('X-Wait: 20\n\nx'))),
  );
  assert.equal(
    outcomes.every(({ verdict }) => verdict.action === 'continue'),
    true,
  );
});
