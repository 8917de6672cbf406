/** What rules/sieve/README.md shows works as it says. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { compileSieve, runSieve, runTestsuite, sieveExtensions } from '../../../rules/sieve/index.ts';
import { projectRoot } from '../../kit/require.ts';

const readme = readFileSync(join(projectRoot, 'rules/sieve/README.md'), 'utf8');

function block(language: string): string {
  return new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(readme)![1]!;
}

test('the first example files a message of the list', async () => {
  const code = block('ts')
    .replace(/^import .*\n/m, '')
    .replaceAll('console.log', 'print')
    .replaceAll('console.error', 'print');
  const printed: unknown[] = [];
  const AsyncFunction = (async () => {}).constructor as new (
    ...parts: string[]
  ) => (...values: unknown[]) => Promise<void>;
  const run = new AsyncFunction('compileSieve', 'formatProblem', 'runSieve', 'print', code);
  await run(
    compileSieve,
    () => assert.fail('a problem'),
    runSieve,
    (value: unknown) => printed.push(value),
  );
  const [actions] = printed as [{ type: string; mailbox: string; flags: string[] }[]];
  assert.deepEqual(
    actions.map(({ type, mailbox, flags }) => ({ type, mailbox, flags })),
    [{ type: 'fileinto', mailbox: 'Lists/dev', flags: ['\\Seen'] }],
  );
});

test('the test script passes', () => {
  const script = 'require "fileinto"; if header :contains "List-Id" "dev" { fileinto "Lists/dev"; }';
  const readFile = (path: string) => (path === 'lists.sieve' ? Buffer.from(script) : undefined);
  const report = runTestsuite(block('sieve'), { now: 0, readFile });
  assert.deepEqual(report, { tests: [{ name: 'mail of the list is filed', line: 12 }], problems: [] });
});

test('the table of extensions is complete', () => {
  const [, table] = /## Extensions([\s\S]*?)## Limits/.exec(readme)!;
  const missing = sieveExtensions.filter((name) => !table!.includes(name));
  assert.deepEqual(missing, []);
});
