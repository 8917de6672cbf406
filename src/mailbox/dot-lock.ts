/**
 * A lock file as Dovecot makes it: `<path>.lock` holds `pid:host`, is made whole or not at all, and is left behind only
 * by a program that died. Waiting never blocks the thread.
 */
import { closeSync, fstatSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';
import { tryLock } from 'fs-native-extensions';
import { errnoOf } from '../../core/base/errors.ts';
import { dotLockStaleMs, dotLockWaitMs } from '../../core/base/limits/mailbox.ts';
import { makeLockFile } from './lock-file.ts';
import { isHolderAlive } from './lock-holder.ts';
import { MailboxError } from './mailbox-error.ts';

/** @throws MailboxError INUSE when it stays locked; system errors */
export async function withDotLock<T>(path: string, work: () => T): Promise<T> {
  const lock = `${path}.lock`;
  const deadline = performance.now() + dotLockWaitMs;
  while (!tryDotLock(lock)) {
    if (performance.now() > deadline) throw new MailboxError('INUSE', 'another program holds the folder');
    await sleep(2 + Math.random() * 10);
  }
  try {
    return work();
  } finally {
    rmSync(lock, { force: true });
  }
}

function tryDotLock(lock: string): boolean {
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      makeLockFile(lock, `${lock}.${process.pid}.${threadId}.lock`, `${process.pid}:${hostname()}`);
      return true;
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
      if (!takeAwayLeft(lock)) return false;
    }
  }
  return false;
}

/**
 * Removes a lock that was left behind. Of several processes that judge it so one removes it, and never what another has
 * made in its place: whoever removes holds a lock on the very file that was judged. False when it stands.
 */
function takeAwayLeft(lock: string): boolean {
  let fd: number;
  try {
    fd = openSync(lock, 'r+');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return true;
    throw error;
  }
  try {
    if (!isLeftBehind(fd) || !tryLock(fd) || !isStill(fd, lock)) return false;
    rmSync(lock, { force: true });
    return true;
  } finally {
    closeSync(fd);
  }
}

/** Its maker died on this host, or it is older than anybody holds one. */
function isLeftBehind(fd: number): boolean {
  const { mtimeMs } = fstatSync(fd);
  if (Date.now() - mtimeMs > dotLockStaleMs) return true;
  const octets = Buffer.alloc(512);
  const [pid, host] = octets.toString('latin1', 0, readSync(fd, octets)).split(':');
  // Another program's lock of just now may not be written yet; one of this process may be another thread's.
  if (host !== hostname() || !/^\d+$/.test(pid ?? '')) return false;
  return Number(pid) !== process.pid && !isHolderAlive(Number(pid), mtimeMs);
}

function isStill(fd: number, path: string): boolean {
  const held = fstatSync(fd);
  const there = statSync(path, { throwIfNoEntry: false });
  return there !== undefined && there.ino === held.ino && there.dev === held.dev;
}
