/** What a plugin's setup answers reaches its hooks and its dispose: one for each entry of the config and thread. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { entry, open, request } from './pipeline-kit.ts';

const words = (word: string) => entry('prepared', { options: { word } });

test('each entry has its own, made once in a thread', async () => {
  await using house = await open({ inbound: [words('one'), words('two')], outbound: [words('three')] });
  const run = async (pipeline: string) => {
    const outcome = await house.pipelines.run(request('Subject: two\n\nx', { pipeline }));
    return outcome.state.results.prepared;
  };
  for (let times = 0; times < 2; times += 1) {
    assert.deepEqual(await run('inbound'), ['one false 1', 'two true 2']);
    assert.deepEqual(await run('outbound'), ['three false 3']);
  }
});

test('a thread that takes the place of a dead one makes it anew', async () => {
  await using house = await open({ inbound: [words('one'), entry('trouble')] });
  await house.pipelines.run(request('Subject: exit\n\nx'));
  const { state, verdict } = await house.pipelines.run(request('Subject: one\n\nx'));
  assert.equal(verdict.action, 'continue');
  assert.deepEqual(state.results.prepared, ['one true 1']);
});

test('dispose is given it, entry by entry', async () => {
  const house = await open({ inbound: [words('one'), words('two')] });
  await house.pipelines.run(request('Subject: x\n\nx'));
  await house.pipelines.close();
  assert.deepEqual(
    house.lines.filter(({ event }) => event === 'plugin-output').map(({ text }) => text),
    ['disposed of one and one', 'disposed of two and two'],
  );
});

test('a setup that fails keeps the pipelines from starting', async () => {
  await assert.rejects(open({ inbound: [words('none')] }), /setup failed: no such word/);
});
