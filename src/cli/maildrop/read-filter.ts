/** The text of a filter file. */
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { maildropLimits } from '../../../core/base/limits/rules.ts';

/** An octet a character. @throws system errors, and for what is no file or larger than a filter may be */
export function readFilter(path: string): string {
  const fd = openSync(path, 'r');
  try {
    const file = fstatSync(fd);
    if (!file.isFile() && path !== '/dev/null') throw new Error(`${path} is no file`);
    if (file.size > maildropLimits.filterBytesMax) throw new Error(`${path} is too large`);
    return readFileSync(fd, 'latin1');
  } finally {
    closeSync(fd);
  }
}
