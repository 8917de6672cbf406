/** Lock files as Dovecot makes them: one holder, and what a dead one left is taken away by one alone. */
import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { tryLock } from 'fs-native-extensions';
import { withDotLock } from '../../src/mailbox/dot-lock.ts';

function place(t: TestContext): { path: string; lock: string } {
  const directory = mkdtempSync(join(tmpdir(), 'dot-lock-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'dovecot-uidlist');
  return { path, lock: `${path}.lock` };
}

/** No process has such a number: the kernel's greatest is 2^22. */
const deadHolder = `99999999:${hostname()}`;
/** It runs as long as the machine. */
const liveHolder = `1:${hostname()}`;

test('the lock says whose it is while the work runs, and is gone after', async (t) => {
  const { path, lock } = place(t);
  const seen = await withDotLock(path, () => readFileSync(lock, 'latin1'));
  assert.equal(seen, `${process.pid}:${hostname()}`);
  assert.deepEqual(readdirSync(join(path, '..')), []);
});

test('work that throws gives the lock back', async (t) => {
  const { path, lock } = place(t);
  const failing = withDotLock(path, () => {
    throw new Error('no');
  });
  await assert.rejects(failing, /no/);
  assert.equal(existsSync(lock), false);
});

const left: readonly { name: string; text: string; ageMs: number }[] = [
  { name: 'of a process that died', text: deadHolder, ageMs: 0 },
  { name: 'of another host, older than anybody holds one', text: '1:elsewhere', ageMs: 3_600_000 },
];
for (const { name, text, ageMs } of left) {
  test(`a lock that was left behind is taken away: ${name}`, async (t) => {
    const { path, lock } = place(t);
    writeFileSync(lock, text);
    const at = (Date.now() - ageMs) / 1000;
    utimesSync(lock, at, at);
    assert.equal(await withDotLock(path, () => 'done'), 'done');
  });
}

test('who judged a lock left behind does not take away what another has made in its place', async (t) => {
  const { path, lock } = place(t);
  writeFileSync(lock, deadHolder);
  // Another process is about to take it away.
  const other = openSync(lock, 'r+');
  assert.equal(tryLock(other), true);
  let worked = false;
  const waiting = withDotLock(path, () => {
    worked = true;
  });
  rmSync(lock);
  writeFileSync(lock, liveHolder);
  closeSync(other);
  await sleep(100);
  assert.deepEqual([worked, readFileSync(lock, 'latin1')], [false, liveHolder]);
  rmSync(lock);
  await waiting;
  assert.equal(worked, true);
});
