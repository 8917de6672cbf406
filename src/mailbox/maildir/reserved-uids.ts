/**
 * UIDs set aside on disk before any of them is given: after a power loss the list of UIDs may lack the last ones, and
 * none may be given twice. Within the same boot the list itself is believed.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { readBootId, unknownBoot } from '../../../core/base/boot-id.ts';
import { errnoOf } from '../../../core/base/errors.ts';

const fileName = 'mailfilter-uids';
const bootId = readBootId();

export interface ReservedUids {
  readonly uidValidity: number;
  /** No UID from here on was given. */
  readonly end: number;
  /** True when the machine was started anew since: UIDs up to `end` may have been given and forgotten. */
  readonly doubtful: boolean;
}

/** Undefined when none were set aside. */
export function readReservedUids(directory: string): ReservedUids | undefined {
  try {
    const match = /^1 (\d{1,10}) (\d{1,10}) (\S+)\n$/.exec(readFileSync(join(directory, fileName), 'latin1'));
    if (!match) return undefined;
    const doubtful = match[3] !== bootId || bootId === unknownBoot;
    return { uidValidity: Number(match[1]), end: Number(match[2]), doubtful };
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return undefined;
  }
}

/** On disk when it returns: file, name and directory. @throws system errors: then none may be given */
export function reserveUids(directory: string, uidValidity: number, end: number): void {
  const path = join(directory, fileName);
  const temporary = `${path}.tmp`;
  const fd = openSync(temporary, 'w', 0o600);
  try {
    writeSync(fd, `1 ${uidValidity} ${end} ${bootId}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
  const parent = openSync(directory, 'r');
  try {
    fsyncSync(parent);
  } finally {
    closeSync(parent);
  }
}
