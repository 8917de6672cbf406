/** A thread that dies: the culprit is named, the innocent run again unseen, and what they asked outside is not asked twice. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { entry, open, request } from './pipeline-kit.ts';

test('a loop among a hundred waiting requests fails alone', async () => {
  await using house = await open({ inbound: [entry('wait'), entry('trouble', { timeoutSeconds: 0.5 })] });
  const waiting = Array.from({ length: 100 }, () => house.pipelines.run(request('X-Wait: 800\n\nx')));
  const culprit = await house.pipelines.run(request('Subject: loop-later\n\nx'));
  assert.equal(culprit.trace.at(-1)?.failure?.kind, 'timeout');
  for (const outcome of await Promise.all(waiting))
    assert.equal(
      outcome.trace.every(({ failure }) => failure === undefined),
      true,
    );
  const ended = house.lines.filter(({ event }) => event === 'plugin-thread-ended');
  assert.deepEqual(
    ended.map(({ cause, plugin, requests }) => [cause, plugin, requests]),
    [['stuck', 'trouble', 101]],
  );
});

test('several culprits at once each fail alone', async () => {
  await using house = await open({ inbound: [entry('wait'), entry('trouble', { timeoutSeconds: 0.4 })] });
  const troubles = ['exit', 'loop', 'exit-later', 'eat-memory'];
  const [failed, passed] = await Promise.all([
    Promise.all(troubles.map((trouble) => house.pipelines.run(request(`Subject: ${trouble}\n\nx`)))),
    Promise.all(Array.from({ length: 10 }, () => house.pipelines.run(request('X-Wait: 50\n\nx')))),
  ]);
  for (const outcome of failed) assert.equal(outcome.verdict.action, 'tempfail');
  for (const outcome of passed) assert.equal(outcome.verdict.action, 'continue');
});

test('a thread that ends with nobody running: each runs alone, and the one that kills again is the culprit', async () => {
  await using house = await open({ inbound: [entry('wait'), entry('trouble')] });
  const waiting = Array.from({ length: 6 }, () => house.pipelines.run(request('X-Wait: 100\n\nx')));
  const culprit = await house.pipelines.run(request('Subject: exit-unseen\n\nx'));
  assert.equal(culprit.verdict.action, 'tempfail');
  assert.deepEqual(
    culprit.trace.map(({ plugin, failure }) => [plugin, failure?.kind]),
    [
      ['wait', undefined],
      ['trouble', 'thread-died'],
    ],
  );
  for (const outcome of await Promise.all(waiting)) assert.equal(outcome.verdict.action, 'continue');
  assert.equal((await house.pipelines.run(request('\n\nx'))).verdict.action, 'continue');
});

const guiltyLate: readonly [
  name: string,
  pipeline: string,
  verdict: string,
  failed: string[],
  deaths: number,
][] = [
  ['its own policy answers', 'once', 'continue', ['trouble'], 3],
  ['a second guilty call is not let run again', 'twice', 'tempfail', ['wait'], 4],
];

for (const [name, pipeline, verdict, failed, deaths] of guiltyLate) {
  test(`found guilty only after two deaths by others: ${name}`, async () => {
    const trouble = entry('trouble', { onFailure: 'continue' });
    await using house = await open({
      once: [entry('wait'), trouble, entry('edit')],
      twice: [entry('wait'), trouble, trouble],
    });
    const exit = (wait: number) =>
      house.pipelines.run(request(`X-Wait: ${wait}\nSubject: exit\n\nx`, { pipeline }));
    const late = exit(700);
    for (let others = 0; others < 2; others += 1)
      await house.pipelines.run(request('Subject: exit\n\nx', { pipeline: 'once' }));
    const outcome = await late;
    assert.equal(outcome.verdict.action, verdict);
    const failures = outcome.trace.filter(({ failure }) => failure !== undefined);
    assert.deepEqual(
      failures.map(({ plugin }) => plugin),
      failed,
    );
    assert.equal(house.lines.filter(({ event }) => event === 'plugin-thread-ended').length, deaths);
  });
}

for (const trouble of ['eat-buffers', 'eat-buffers-slowly']) {
  test(`buffers outside the heap end their thread, not the process: ${trouble}`, async () => {
    await using house = await open({ inbound: [entry('trouble', { timeoutSeconds: 20 })] });
    const before = process.memoryUsage.rss();
    const outcome = await house.pipelines.run(request(`Subject: ${trouble}\n\nx`));
    assert.equal(outcome.trace[0]?.failure?.kind, 'thread-died');
    assert.match(outcome.trace[0]!.failure!.message, /past the memory limit/);
    assert.ok(process.memoryUsage.rss() - before < 1e9);
  });
}

test('when no thread comes up again the policies answer, until one does', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-load-'));
  const marker = JSON.stringify(join(directory, 'loaded'));
  const file = join(directory, 'once.ts');
  // Loads a first time only: as code does that was changed for the worse under a running server.
  writeFileSync(
    file,
    `import { existsSync, writeFileSync } from 'node:fs';
     if (existsSync(${marker})) process.exit(1);
     writeFileSync(${marker}, '');
     export default { name: 'once', hooks: { message() {} } };`,
  );
  await using house = await open({ inbound: [entry(file), entry('trouble')] });
  assert.equal(
    (await house.pipelines.run(request('Subject: exit\n\nx'))).trace.at(-1)?.failure?.kind,
    'load',
  );
  const { trace } = await house.pipelines.run(request('\n\nx'));
  assert.deepEqual(
    trace.map(({ plugin, failure }) => [plugin, failure?.kind]),
    [['once', 'load']],
  );
  rmSync(JSON.parse(marker));
  const recovered = async () => (await house.pipelines.run(request('\n\nx'))).verdict.action === 'continue';
  for (let tries = 0; tries < 50 && !(await recovered()); tries += 1) await setTimeout(100);
  assert.equal(await recovered(), true);
  rmSync(directory, { recursive: true });
});

test('state is asked once, however often the request runs', async () => {
  await using house = await open({
    inbound: [entry('count'), entry('wait'), entry('trouble', { timeoutSeconds: 0.4 })],
  });
  const innocent = house.pipelines.run(request('X-Wait: 500\n\nx'));
  await setTimeout(100);
  const culprit = house.pipelines.run(request('Subject: exit\n\nx'));
  assert.deepEqual((await innocent).state.results.count, [1, 2, true]);
  const { state, trace } = await culprit;
  assert.deepEqual(state.results.count, [3, 4, false]);
  assert.deepEqual(
    trace[0]?.asked?.map(({ what, answer }) => [what, answer]),
    [
      ['state.increment("seen", 1)', 3],
      ['state.increment("seen", 1)', 4],
      ['state.setIfAbsent("first", 1)', false],
    ],
  );
});

test('the same request run anew by its owner counts anew', async () => {
  await using house = await open({ inbound: [entry('count')] });
  const again = request('\n\nx');
  await house.pipelines.run(again);
  assert.deepEqual((await house.pipelines.run(again)).state.results.count, [3, 4, false]);
});

test('a question that its hook did not wait for counts', async () => {
  await using house = await open({ inbound: [entry('hasty'), entry('count')] });
  for (let count = 0; count < 5; count += 1) await house.pipelines.run(request('\n\nx'));
  await setTimeout(50);
  const seen = await house.pipelines.run(request('Subject: look\n\nx'));
  assert.equal(seen.state.results.hasty, 5);
});

test('a connection whose thread is lost has lost its plugins of that affinity, and no others', async () => {
  await using house = await open({ inbound: [entry('affine'), entry('edit')] }, { threads: 2 });
  const first = request('Subject: a\n\nx');
  const { connection } = first;
  const run = (text: string) => house.pipelines.run(request(text, { connection }));
  for (const count of [1, 2, 3]) assert.equal((await run('Subject: a\n\nx')).state.results.affine, count);
  assert.equal((await run('Subject: exit\n\nx')).verdict.action, 'tempfail');
  const after = await run('Subject: a\n\nx');
  assert.deepEqual(after.trace[0]?.failure?.message, 'the thread of this connection ended');
  house.pipelines.forget(connection.id);
  assert.equal((await run('Subject: a\n\nx')).state.results.affine, 1);
});

test('a request whose client has given up is answered by policy, without a run', async () => {
  await using house = await open({ inbound: [entry('edit')] });
  const outcome = await house.pipelines.run(request('\n\nx', { deadline: Date.now() - 1 }));
  assert.equal(outcome.verdict.action, 'tempfail');
  assert.equal(outcome.trace[0]?.failure?.kind, 'timeout');
});

test('closing answers what is under way by policy', async () => {
  const house = await open({ inbound: [entry('wait')] });
  const waiting = house.pipelines.run(request('X-Wait: 60000\n\nx'));
  await house.pipelines.close();
  assert.equal((await waiting).verdict.action, 'tempfail');
});
