/** A lock's maker: alive, gone, ended but not noticed, or another process with its number. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { isHolderAlive } from '../../src/mailbox/lock-holder.ts';
import { until } from '../kit/server.ts';

test('who lives and was there before the lock holds it', () => {
  assert.equal(isHolderAlive(process.pid, Date.now()), true);
});

test('a number that was given again holds nothing that is older', () => {
  assert.equal(isHolderAlive(process.pid, performance.timeOrigin - 60_000), false);
});

test('a process that is gone holds nothing', async () => {
  const child = spawn('true');
  await new Promise((resolve) => child.once('exit', resolve));
  assert.equal(isHolderAlive(child.pid!, Date.now()), false);
});

test('one that ended and that nobody has noticed holds nothing', async () => {
  // The shell becomes a program that never asks for its children.
  const parent = spawn('sh', ['-c', 'true & echo $!; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    const pid = await new Promise<number>((resolve) =>
      parent.stdout.once('data', (line) => resolve(Number(line))),
    );
    await until('the end of the child', () => !isHolderAlive(pid, Date.now()));
  } finally {
    parent.kill();
  }
});
