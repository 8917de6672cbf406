/**
 * Runs the tests: `node test/run.ts [--campaign] [FILE ...]`. A campaign runs the long rounds of the same tests.
 *
 * Files that failed beside others run once more, alone: that a machine had no time for a test is no fault, and it is
 * told at the end. What fails alone has failed, and a crash test that lost mail once has failed for good.
 */
import { spawn } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const campaign = process.argv.includes('--campaign');
const named = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const all = named.length > 0 ? named : globSync('test/**/*.test.ts', { cwd: root }).sort();
const timeoutMs = campaign ? 2 * 3600_000 : 200_000;
/** More than this is no lack of time. */
const againMax = 8;

process.exitCode = await main();

async function main(): Promise<number> {
  const first = await run(all, 2);
  if (first.code === 0 || first.signal) return first.code;
  const again = first.failed.filter((file) => !file.startsWith('test/crash/'));
  if (again.length < first.failed.length || again.length === 0 || again.length > againMax) return first.code;
  console.log(`\nfailed beside others, now alone: ${again.join(' ')}\n`);
  const second = await run(again, 1);
  if (second.code === 0) console.log(`\npassed alone, so unsteady: ${again.join(' ')}`);
  return second.code;
}

interface Outcome {
  readonly code: number;
  readonly signal: boolean;
  /** Below the root. */
  readonly failed: readonly string[];
}

async function run(files: readonly string[], concurrency: number): Promise<Outcome> {
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-run-'));
  const failedFile = join(directory, 'failed');
  try {
    const child = spawn(
      process.execPath,
      [
        '--test',
        `--test-concurrency=${concurrency}`,
        `--test-timeout=${timeoutMs}`,
        '--test-reporter=spec',
        '--test-reporter-destination=stdout',
        '--test-reporter=./test/kit/failed-files.ts',
        `--test-reporter-destination=${failedFile}`,
        ...files,
      ],
      {
        cwd: root,
        stdio: 'inherit',
        env: { ...process.env, ...(campaign ? { MAILFILTER_CAMPAIGN: '1' } : {}) },
      },
    );
    const kill = (signal: NodeJS.Signals) => child.kill(signal);
    process.on('SIGINT', kill).on('SIGTERM', kill);
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
      child.once('exit', (...ended) => resolve(ended)),
    );
    process.off('SIGINT', kill).off('SIGTERM', kill);
    const failed = readFileSync(failedFile, 'utf8').split('\n').filter(Boolean);
    return {
      code: code ?? 1,
      signal: signal !== null,
      failed: failed.map((file) => relative(root, file)),
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
