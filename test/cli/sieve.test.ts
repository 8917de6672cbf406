/** `mailfilter sieve check`, `run` and `test` as their users see them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runCommand } from '../kit/command.ts';

const message = 'From: ann@example.org\nTo: bob@example.net\nList-Id: <dev.example.org>\n\nHello.\n';
const script =
  'require ["fileinto", "include"];\ninclude "site";\nif header :contains "list-id" "dev" {\n  fileinto "Lists";\n}\n';

function folderOf(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'sieve-cli-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

test('check tells every error with its place, and ends with 1', async (t) => {
  const cwd = folderOf(t, { 'bad.sieve': 'keep\nfrop;\nif header :is "a" { }\nfileinto "x";' });
  const { code, stdout } = await runCommand(['sieve', 'check', 'bad.sieve'], { cwd });
  assert.equal(code, 1);
  assert.deepEqual(stdout.split('\n'), [
    "bad.sieve: line 1, column 1: error: missing semicolon ';' after keep command",
    'bad.sieve: line 3, column 4: error: the header test requires 2 positional argument(s), but 1 is/are specified',
    "bad.sieve: line 4, column 1: error: unknown command 'fileinto' (only reported once at first occurrence)",
    'bad.sieve: not usable (3 errors)',
    '',
  ]);
});

test('check warns of folders that are not there, and takes the script', async (t) => {
  const cwd = folderOf(t, { 'lists.sieve': script, 'site.sieve': 'keep;' });
  const args = ['sieve', 'check', 'lists.sieve', '--folder', 'lists', '--json'];
  const { code, stdout } = await runCommand(args, { cwd });
  assert.equal(code, 0);
  const [report] = JSON.parse(stdout);
  assert.equal(report.ok, true);
  assert.deepEqual(report.requires, ['fileinto', 'include']);
  assert.deepEqual(report.warnings, [
    {
      severity: 'warning',
      code: 'unknown-folder',
      line: 4,
      column: 12,
      message: 'there is no folder "Lists"; there is "lists"',
    },
  ]);
});

test('run shows the actions, and the lines that decided', async (t) => {
  const cwd = folderOf(t, { 'lists.sieve': script, 'site.sieve': 'stop;', 'm.eml': message });
  const { code, stdout } = await runCommand(['sieve', 'run', 'lists.sieve', 'm.eml'], { cwd });
  assert.equal(code, 0);
  assert.match(stdout, /site:1 +stop -> done/);
  assert.match(stdout, /Actions\n {2}implicit keep\n$/);
  writeFileSync(join(cwd, 'site.sieve'), 'return_is_not_here;');
  const broken = await runCommand(['sieve', 'run', 'lists.sieve', 'm.eml'], { cwd });
  assert.equal(broken.code, 1);
  assert.match(broken.stderr, /site: line 1, column 1: error: unknown command/);
});

test('run reads a message from standard input and prints JSON', async (t) => {
  const cwd = folderOf(t, { 'lists.sieve': script, 'site.sieve': '' });
  const args = ['sieve', 'run', 'lists.sieve', '-', '--json', '--to', 'bob@example.net'];
  const { code, stdout } = await runCommand(args, { cwd, input: message });
  assert.equal(code, 0);
  const { actions, trace } = JSON.parse(stdout);
  assert.deepEqual(actions[0].type, 'fileinto');
  assert.deepEqual(actions[0].at, { line: 4, column: 3, script: 'lists.sieve' });
  const seen = trace.find(({ name }: { name: string }) => name === 'header');
  assert.deepEqual(seen.inputs.values, ['<dev.example.org>']);
  assert.equal(seen.outcome, true);
});

test('test prints a line for each test, the sum, and ends with 1 where one fails', async (t) => {
  const suite =
    'require "vnd.dovecot.testsuite";\ntest "good" { }\ntest "bad" { if true { test_fail "it is so"; } }\n';
  const cwd = folderOf(t, { 'a.svtest': suite, 'b.svtest': suite.replace('if true', 'if false') });
  const { code, stdout } = await runCommand(['sieve', 'test', 'a.svtest', 'b.svtest'], { cwd });
  assert.equal(code, 1);
  assert.deepEqual(stdout.split('\n'), [
    'ok   a.svtest: good',
    'FAIL a.svtest: bad: line 3: it is so',
    'ok   b.svtest: good',
    'ok   b.svtest: bad',
    '3 passed, 1 failed',
    '',
  ]);
  const good = await runCommand(['sieve', 'test', 'b.svtest'], { cwd });
  assert.equal(good.code, 0);
  assert.match(good.stdout, /2 passed, 0 failed\n$/);
});
