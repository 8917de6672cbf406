/** The supervisor: a role that cannot be started is tried again, and one that starts is not ended by a reload. */
import assert from 'node:assert/strict';
import childProcess, { type ChildProcess, type ForkOptions } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { serve } from '../src/supervisor.ts';
import { until } from './kit/server.ts';

interface Running {
  readonly ended: Promise<number>;
  pidOf(role: string): number;
}

/** In this process: what `mailfilter serve` runs. */
async function run(t: TestContext): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-supervisor-'));
  const configFile = join(folder, 'mailfilter.json');
  writeFileSync(
    configFile,
    JSON.stringify({
      hostname: 'mx.example.test',
      dataDirectory: 'data',
      listeners: { smtp: { protocol: 'smtp', address: '127.0.0.1:0', tls: 'none' } },
      processes: { access: 0 },
      log: { level: 'error', file: 'log' },
    }),
  );
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  let ready = false;
  const ended = serve(configFile, { onReady: () => (ready = true) });
  await until('the server', () => ready);
  const pidOf = (role: string) => Number(readFileSync(join(folder, 'data', 'run', `${role}.pid`), 'utf8'));
  return { ended, pidOf };
}

type Fork = (file: string, args: string[], options: ForkOptions) => ChildProcess;

/** Lets `instead` start the next process; it is given what starts one. */
function nextFork(t: TestContext, instead: (real: Fork) => Fork): void {
  const real: Fork = childProcess.fork;
  const mock = t.mock.method(childProcess, 'fork', (...given: Parameters<Fork>) => {
    mock.mock.restore();
    syncBuiltinESMExports();
    return instead(real)(...given);
  });
  syncBuiltinESMExports();
}

test('a system that has no room for a process when a role died gets it back later', async (t) => {
  const { ended, pidOf } = await run(t);
  const first = pidOf('mta');
  nextFork(t, () => () => {
    throw Object.assign(new Error('spawn ENOMEM'), { code: 'ENOMEM' });
  });
  process.kill(first, 'SIGKILL');
  await until('another mta', () => pidOf('mta') !== first);
  process.emit('SIGTERM');
  assert.equal(await ended, 0);
});

test('a program that is not to be found when a role died is looked for again', async (t) => {
  const { ended, pidOf } = await run(t);
  const first = pidOf('mta');
  nextFork(t, (real) => (file, args, options) => real(file, args, { ...options, execPath: '/nowhere/node' }));
  process.kill(first, 'SIGKILL');
  await until('another mta', () => pidOf('mta') !== first);
  process.emit('SIGTERM');
  assert.equal(await ended, 0);
});

test('signals that come while a role starts are heard when it serves', async (t) => {
  const { ended, pidOf } = await run(t);
  const first = pidOf('mta');
  let second: number | undefined;
  nextFork(t, (real) => (...given) => {
    const child = real(...given);
    second = child.pid;
    process.emit('SIGHUP');
    process.emit('SIGUSR1');
    return child;
  });
  process.kill(first, 'SIGKILL');
  await until('another mta', () => pidOf('mta') !== first);
  assert.equal(pidOf('mta'), second, 'it was not ended by them');
  process.emit('SIGTERM');
  assert.equal(await ended, 0);
});
