/** New code beside the old: what has begun finishes as it began, and a reload that fails changes nothing. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { entry, open, plugin, request } from './pipeline-kit.ts';

let directory: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'mailfilter-reload-'));
});
after(() => rmSync(directory, { recursive: true }));

const code = (version: number) => `import { definePlugin } from 'mailfilter/plugin';
export default definePlugin({ name: 'versioned', hooks: { message: () => ({ result: ${version} }) } });
`;

test('a plugin file outside the installation is loaded anew, its transactions go on with the old code', async () => {
  const file = join(directory, 'versioned.ts');
  writeFileSync(file, code(1));
  const pipelines = { inbound: [entry(plugin('wait')), entry(file)] };
  await using house = await open(pipelines);
  const held = house.pipelines.run(request('X-Wait: 500\n\nx', { id: 'held' }));
  writeFileSync(file, code(2));
  await house.pipelines.reload(pipelines);
  const result = async (id: string) =>
    (await house.pipelines.run(request('\n\nx', { id }))).state.results.versioned;
  assert.equal(await result('held'), 1, 'a second stage of a transaction from before');
  assert.equal(await result('new'), 2);
  assert.equal((await held).state.results.versioned, 1);
  house.pipelines.forget('held');
  assert.equal(await result('held'), 2, 'after it was forgotten');
});

const broken: readonly [name: string, code: string, message: RegExp][] = [
  ['a syntax error', 'export default {', /cannot be loaded: .*broken\.ts:1/],
  ['a throw while loading', "throw new Error('not today');", /not today/],
  ['no plugin', 'export default 42;', /no plugin/],
  ['an unknown hook', "export default { name: 'x', hooks: { mesage() {} } };", /unknown hook "mesage"/],
  [
    'a setup that fails',
    "export default { name: 'x', hooks: {}, setup() { throw new Error('no key file'); } };",
    /setup failed: no key file/,
  ],
  ['an exit while loading', 'process.exit(1);', /broken\.ts: the thread ended/],
  ['a missing import', "import 'mailfilter/nowhere'; export default {};", /nowhere/],
];

for (const [name, source, message] of broken) {
  test(`a reload that fails keeps what runs: ${name}`, async () => {
    const file = join(directory, 'broken.ts');
    writeFileSync(file, source);
    await using house = await open({ inbound: [entry('edit')] });
    await assert.rejects(house.pipelines.reload({ inbound: [entry('edit'), entry(file)] }), message);
    const { trace } = await house.pipelines.run(request('\n\nx'));
    assert.deepEqual(
      trace.map((line) => line.plugin),
      ['edit'],
    );
  });
}

test('pipelines can become empty and be filled again', async () => {
  await using house = await open({ inbound: [entry('edit')] });
  assert.equal(house.pipelines.has('inbound', 'message'), true);
  assert.equal(house.pipelines.has('inbound', 'connect'), false);
  await house.pipelines.reload({});
  assert.equal(house.pipelines.has('inbound', 'message'), false);
  assert.deepEqual((await house.pipelines.run(request('\n\nx'))).trace, []);
  await house.pipelines.reload({ inbound: [entry('edit')] });
  assert.equal((await house.pipelines.run(request('\n\nx'))).state.score, 1.5);
});
