/** Makes a lock file whole or not at all: a process that is killed leaves none behind that does not say whose it was. */
import { randomBytes } from 'node:crypto';
import { closeSync, linkSync, openSync, rmSync, writeSync } from 'node:fs';
import { errnoOf } from '../../core/base/errors.ts';

/** What link(2) says where a file system has no hard links. */
const linkless = new Set(['EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EMLINK']);

/**
 * @param wanted path in the same directory; what an earlier process left there is taken away
 * @throws system errors: EEXIST when there is such a lock; nothing is left behind then
 */
export function makeLockFile(path: string, wanted: string, text: string): void {
  const temporary = writeTemporary(wanted, text);
  try {
    linkSync(temporary, path);
  } catch (error) {
    if (!linkless.has(errnoOf(error) ?? '')) throw error;
    writeNewFile(path, text);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** In a folder of many users somebody else may have put there what we cannot remove: then a name that nobody can guess. */
function writeTemporary(wanted: string, text: string): string {
  try {
    rmSync(wanted, { force: true });
    writeNewFile(wanted, text);
    return wanted;
  } catch (error) {
    if (errnoOf(error) === 'ENOSPC' || errnoOf(error) === 'EROFS') throw error;
    const other = `${wanted}.${randomBytes(8).toString('hex')}`;
    writeNewFile(other, text);
    return other;
  }
}

/** On a full disk a file can be made and not written. */
function writeNewFile(path: string, text: string): void {
  const fd = openSync(path, 'wx', 0o600);
  try {
    writeSync(fd, text);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}
