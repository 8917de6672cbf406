/** Files that a command looks into: what may not be seen is never taken for what is not there. */
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
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

/** @throws system errors where it cannot be told */
export function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** Passes for a file that is not there. @throws system errors for one that may not be read */
export function mayRead(path: string): void {
  if (isThere(path)) accessSync(path, constants.R_OK);
}
