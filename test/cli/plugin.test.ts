/** `mailfilter plugin new`: what it makes passes its own test, inside a clone and outside, and runs in a pipeline. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { askManifests } from '../../core/pipeline/manifests.ts';
import { runCommand } from '../kit/command.ts';
import { projectRoot } from '../kit/require.ts';

const outside = mkdtempSync(join(tmpdir(), 'mailfilter-plugin-'));
const inside = mkdtempSync(join(projectRoot, 'test/cli/plugin-'));
after(() => {
  for (const folder of [outside, inside]) rmSync(folder, { recursive: true, force: true });
});

/** As a user would type it: without what this test runner left in the environment. */
async function nodeTest(file: string, cwd: string): Promise<string> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, ['--test', '--test-reporter=spec', file], {
    cwd,
    env,
  });
  return stdout;
}

for (const { name, folder } of [
  { name: 'inside a clone', folder: inside },
  { name: 'outside', folder: outside },
]) {
  test(`a new plugin ${name} passes its own test and loads`, async () => {
    const made = await runCommand(['plugin', 'new', 'my-plugin'], { cwd: folder });
    assert.equal(made.code, 0, made.stderr);
    for (const file of ['index.ts', 'README.md', 'index.test.ts']) {
      const text = readFileSync(join(folder, 'my-plugin', file), 'utf8');
      assert.ok(text.includes('my-plugin'), file);
      assert.ok(!text.includes('__NAME__'), file);
    }
    assert.equal(existsSync(join(folder, 'node_modules')), folder === outside);
    assert.match(await nodeTest('my-plugin/index.test.ts', folder), /pass 6\n.*fail 0/);
    const [answer] = await askManifests([join(folder, 'my-plugin/index.ts')]);
    assert.ok(answer && 'manifest' in answer, JSON.stringify(answer));
    assert.equal(answer.manifest.name, 'my-plugin');
  });
}

test('a second plugin beside the first', async () => {
  const { code, stderr } = await runCommand(['plugin', 'new', 'second', '--directory', outside]);
  assert.equal(code, 0, stderr);
  assert.match(await nodeTest('second/index.test.ts', outside), /pass 6\n/);
});

const wrong = [
  {
    name: 'a name that is there',
    args: ['my-plugin', '--directory', outside],
    code: 73,
    want: /is there already/,
  },
  { name: 'a path as name', args: ['../evil'], code: 64, want: /no plugin name/ },
  { name: 'capital letters', args: ['MyPlugin'], code: 64, want: /no plugin name/ },
];
for (const { name, args, code, want } of wrong) {
  test(`refuses ${name}`, async () => {
    const result = await runCommand(['plugin', 'new', ...args]);
    assert.equal(result.code, code);
    assert.match(result.stderr, want);
  });
}
