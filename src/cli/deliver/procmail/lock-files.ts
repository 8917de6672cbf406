/** procmail's lock files: made with O_EXCL, waited for, taken by force when they are too old. lockfile(1). */
import { closeSync, openSync, rmSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '../../../../core/base/errors.ts';

export interface LockTimes {
  /** Between two attempts. */
  readonly sleepSeconds: number;
  /** Age at which a lock was left by a program that died; 0: never. */
  readonly timeoutSeconds: number;
}

/** False where the lock cannot be made. Waits as long as somebody else holds it. */
export async function takeLockFile(
  path: string,
  { sleepSeconds, timeoutSeconds }: LockTimes,
): Promise<boolean> {
  for (;;) {
    try {
      closeSync(openSync(path, 'wx', 0o444));
      return true;
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') return false;
    }
    const age = ageOf(path);
    if (age !== undefined && timeoutSeconds > 0 && age > timeoutSeconds * 1000) {
      dropLockFile(path);
      continue;
    }
    await sleep(Math.max(100, sleepSeconds * 1000));
  }
}

export function dropLockFile(path: string): void {
  rmSync(path, { force: true });
}

/** Milliseconds; undefined where it has gone meanwhile. */
function ageOf(path: string): number | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? undefined : Date.now() - stat.mtimeMs;
}
