/** Files that a command was named: they have to be there, and to be readable. */
import { readFileSync } from 'node:fs';
import { describeFileError, errnoOf } from '../../core/base/errors.ts';
import { CommandError, exitCodes } from './exit-codes.ts';

/** Octets of a file that has to be there. @throws CommandError EX_NOINPUT */
export function readNeeded(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CommandError(exitCodes.noInput, `${path}: ${describeFileError(error)}`);
  }
}

/** Octets of a file, undefined where there is none. @throws CommandError EX_NOINPUT for one that cannot be read */
export function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new CommandError(exitCodes.noInput, `${path}: ${describeFileError(error)}`);
  }
}
