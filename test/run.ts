/** Runs the tests: `node test/run.ts [--campaign] [FILE ...]`. A campaign runs the long rounds of the same tests. */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const campaign = process.argv.includes('--campaign');
const named = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const files = named.length > 0 ? named : globSync('test/**/*.test.ts', { cwd: root }).sort();
const timeoutMs = campaign ? 2 * 3600_000 : 300_000;

const child = spawn(
  process.execPath,
  ['--test', '--test-concurrency=2', `--test-timeout=${timeoutMs}`, '--test-reporter=spec', ...files],
  {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...(campaign ? { MAILFILTER_CAMPAIGN: '1' } : {}) },
  },
);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => {
  process.exitCode = signal ? 1 : (code ?? 1);
});
