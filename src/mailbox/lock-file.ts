/** Makes a lock file whole or not at all: a process that is killed leaves none behind that does not say whose it was. */
import { closeSync, linkSync, openSync, rmSync, writeSync } from 'node:fs';
import { errnoOf } from '../../core/base/errors.ts';

/** What link(2) says where a file system has no hard links. */
const linkless = new Set(['EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EMLINK']);

/**
 * @param temporary path in the same directory; whatever is there is taken away
 * @throws system errors: EEXIST when there is such a lock; nothing is left behind then
 */
export function makeLockFile(path: string, temporary: string, text: string): void {
  rmSync(temporary, { force: true });
  writeNewFile(temporary, text);
  try {
    linkSync(temporary, path);
  } catch (error) {
    if (!linkless.has(errnoOf(error) ?? '')) throw error;
    writeNewFile(path, text);
  } finally {
    rmSync(temporary, { force: true });
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
