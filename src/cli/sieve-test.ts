/** `mailfilter sieve test`: runs test scripts (vnd.dovecot.testsuite), one line for each test. */
import { basename, dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { formatProblem, runTestsuite, type TestReport } from '../../rules/sieve/index.ts';
import { exitCodes } from './exit-codes.ts';
import { readIfThere, readNeeded } from './needed-file.ts';

export function defineTest(command: Command): void {
  command
    .command('test')
    .description('run test scripts; exit code 1 where a test fails')
    .argument('<file...>', '.svtest files; what they compile lies relative to them')
    .option('--json', 'print JSON')
    .action(runTests);
}

function runTests(files: string[], options: { json?: boolean }): void {
  const reports = files.map((file) => ({ file, ...testFile(file) }));
  if (options.json === true) process.stdout.write(`${JSON.stringify(reports, null, 2)}\n`);
  const totals = { passed: 0, failed: 0 };
  for (const report of reports) {
    const lines = linesOf(report);
    for (const line of lines) if (options.json !== true) process.stdout.write(`${line.text}\n`);
    totals.passed += lines.filter(({ passed }) => passed).length;
    totals.failed += lines.filter(({ passed }) => !passed).length;
  }
  if (options.json !== true) process.stdout.write(`${totals.passed} passed, ${totals.failed} failed\n`);
  if (totals.failed > 0) process.exitCode = exitCodes.negative;
}

function testFile(file: string): TestReport {
  const folder = dirname(file);
  return runTestsuite(readNeeded(file), {
    name: basename(file),
    now: Date.now(),
    readFile: (path) => readIfThere(resolve(folder, path)),
  });
}

function linesOf(report: TestReport & { file: string }): { text: string; passed: boolean }[] {
  const { file, problems, tests, failure } = report;
  const broken = problems.map((problem) => ({ text: `FAIL ${formatProblem(problem, file)}`, passed: false }));
  const ran = tests.map((test) => ({
    text: `${test.failure === undefined ? 'ok  ' : 'FAIL'} ${file}: ${test.name}${test.failure === undefined ? '' : `: ${test.failure}`}`,
    passed: test.failure === undefined,
  }));
  const ended = failure === undefined ? [] : [{ text: `FAIL ${file}: ${failure}`, passed: false }];
  return [...broken, ...ran, ...ended];
}
