/**
 * Both locks that programs on a Debian system take on an mbox: fcntl first, then the dot lock; when the second is not
 * to be had, the first is given back before waiting. Debian policy section 11.6. Waiting never blocks the process.
 *
 * The fcntl lock belongs to the open file, not to the process (F_OFD_SETLK), so two deliveries of this process
 * exclude one another as well.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { tryLock } from 'fs-native-extensions';
import { readBootId } from '../../core/base/boot-id.ts';
import { errnoOf } from '../../core/base/errors.ts';
import { mboxDotLockStaleMs, mboxLockWaitMs } from '../../core/base/limits/mailbox.ts';
import { storageErrorOf } from '../../core/base/storage-error.ts';
import { makeLockFile } from './lock-file.ts';
import { isHolderAlive } from './lock-holder.ts';
import { openMbox } from './open-mbox.ts';

export interface MboxLock {
  /** Open for reading and writing. */
  readonly fd: number;
  release(): void;
}

/** Waits at most that long. @throws OperationalError `storage-failed` when it stays locked; system errors as they are */
export async function lockMbox(path: string, waitMs: number = mboxLockWaitMs): Promise<MboxLock> {
  const deadline = performance.now() + waitMs;
  for (;;) {
    const lock = tryLockMbox(path);
    if (lock) return lock;
    if (performance.now() >= deadline) throw storageErrorOf('storage-failed', 'mbox stays locked', { path });
    // Random, so that two programs that met do not meet again.
    await sleep(20 + Math.random() * 80);
  }
}

/** One attempt, which makes the file when there is none; undefined when somebody else holds a lock. @throws system errors */
export function tryLockMbox(path: string): MboxLock | undefined {
  const fd = openMbox(path);
  let dotLock: string | undefined;
  try {
    if (tryLock(fd) && isStill(fd, path)) dotLock = takeDotLock(path);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  if (dotLock === undefined) {
    closeSync(fd);
    return undefined;
  }
  const taken = dotLock;
  return {
    fd,
    release: () => {
      if (taken !== '') rmSync(taken, { force: true });
      closeSync(fd);
    },
  };
}

/** A program that rewrites the mbox by renaming a new file over it leaves us with a lock on the old one. */
function isStill(fd: number, path: string): boolean {
  const held = fstatSync(fd);
  const there = statSync(path, { throwIfNoEntry: false });
  return there !== undefined && there.ino === held.ino && there.dev === held.dev;
}

/** Path of the dot lock; '' where the directory lets us make none, then the fcntl lock alone must do. */
function takeDotLock(path: string): string | undefined {
  const dotLock = `${path}.lock`;
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      // Of the programs that hold the fcntl lock there is one, so the name of what is not yet a lock is ours as well.
      makeLockFile(dotLock, `${path}.new.lock`, `${process.pid}\n${holder}\n`);
      return dotLock;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === 'EACCES' || errno === 'EPERM' || errno === 'EROFS') return '';
      if (errno !== 'EEXIST') throw error;
      if (!isStale(dotLock)) return undefined;
      // Nobody else removes it meanwhile: whoever follows the order above holds the fcntl lock first, as we do.
      if (!removed(dotLock)) return '';
    }
  }
  return undefined;
}

/** False where somebody put there what is not ours to remove: in a folder of many users that must not stop all mail. */
function removed(dotLock: string): boolean {
  try {
    rmSync(dotLock, { force: true });
    return true;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

/** The second line of our dot locks; other programs read the first, the process id. */
const holder = `mailfilter ${hostname()} ${readBootId()}`;

function isStale(dotLock: string): boolean {
  try {
    const { mtimeMs } = lstatSync(dotLock);
    if (Date.now() - mtimeMs > mboxDotLockStaleMs) return true;
    const [pid, heldBy] = firstOctets(dotLock).split('\n');
    const [program, host, boot] = (heldBy ?? '').split(' ');
    // Of a process id on another host we know nothing.
    if (program !== 'mailfilter' || host !== hostname()) return false;
    // Ours of before: whoever holds the dot lock in this process holds the fcntl lock too, and that is ours now.
    return boot !== readBootId() || Number(pid) === process.pid || !isHolderAlive(Number(pid), mtimeMs);
  } catch (error) {
    // Given back between two looks; or a link or a socket, of whose holder nothing is known.
    if (['ENOENT', 'ELOOP', 'ENXIO'].includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
}

/** Never waits, nor reads for long: others may put what they like into a shared folder. */
function firstOctets(path: string): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const octets = Buffer.alloc(512);
    return octets.toString('latin1', 0, fstatSync(fd).isFile() ? readSync(fd, octets) : 0);
  } finally {
    closeSync(fd);
  }
}
