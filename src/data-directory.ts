/** The data directory: made when missing, locked so that one server alone writes in it, with pid files for those who look. */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { tryLock } from 'fs-native-extensions';
import { describeError, errnoOf, OperationalError } from '../core/base/errors.ts';
import { maildropMode } from './maildrop/drop.ts';
import { handOver, type SystemUser } from './privileges.ts';

const folders = ['', 'run', 'journal', 'spool', 'queue', 'state', 'maildrop'] as const;
/**
 * Everybody may come as far as the maildrop, and the group to the socket of `mailfilter deliver`; nobody sees anything on
 * the way, and all other folders are the server's alone.
 */
const modes: Readonly<Partial<Record<(typeof folders)[number], number>>> = {
  '': 0o711,
  run: 0o710,
  maildrop: maildropMode,
};

export interface DataDirectory {
  /** Absolute path of a folder in it. */
  path(folder: (typeof folders)[number]): string;
  release(): void;
}

/** @throws OperationalError `already-running` when another server holds it */
export function openDataDirectory(root: string, owner: SystemUser | undefined): DataDirectory {
  for (const folder of folders) {
    const mode = modes[folder] ?? 0o700;
    if (mkdirSync(join(root, folder), { recursive: true, mode }) !== undefined)
      handOver(join(root, folder), owner);
    // The data directory itself may be a link: it lies where only its operator puts things.
    if (folder === '' || folder === 'maildrop') letPass(join(root, folder), mode, folder === '');
  }
  const lockFile = join(root, 'run', 'lock');
  // Root opens it in a folder that is not root's: a link there must not lead it to another file.
  const lock = openSync(lockFile, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  if (!tryLock(lock, 0, 0)) {
    closeSync(lock);
    throw new OperationalError(
      'already-running',
      `another mailfilter (pid ${readPid(root)}) uses the data directory ${root}: stop it, or set another "dataDirectory"`,
      { temporary: false },
    );
  }
  if (owner) fchownSync(lock, owner.uid, owner.gid);
  return {
    path: (folder) => join(root, folder),
    release: () => closeSync(lock),
  };
}

/** Of pid files, sockets between roles, and what tools look at. */
export function runDirectory(root: string): string {
  return join(root, 'run');
}

/**
 * Adds what the way to the maildrop needs, against umask and older versions; who does not own the folder changes nothing.
 * Root may do it in a folder that is the server's: what a link there leads to stays as it is.
 */
function letPass(path: string, mode: number, followsLink: boolean): void {
  const link = followsLink ? 0 : constants.O_NOFOLLOW;
  let folder: number | undefined;
  try {
    folder = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | link);
    const found = fstatSync(folder).mode & 0o7777;
    if ((found & mode) !== mode) fchmodSync(folder, found | mode);
  } catch (error) {
    if (errnoOf(error) !== 'EPERM' && errnoOf(error) !== 'EACCES') throw error;
  } finally {
    if (folder !== undefined) closeSync(folder);
  }
}

/** Written by each role, whole; `mailfilter reload` and operators read it. */
export function writePidFile(root: string, role: string): void {
  writeRunFile(root, `${role}.pid`, `${process.pid}\n`);
}

/** A file for those who look from outside. Where it cannot be written there is none: an old one would tell lies. */
export function writeRunFile(root: string, name: string, text: string): void {
  const path = join(root, 'run', name);
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    rmSync(temporary, { force: true });
    // A new file renamed into place: the supervisor may be root, and writes through no link.
    writeFileSync(temporary, text, { mode: 0o644, flag: 'wx' });
    renameSync(temporary, path);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    for (const each of [temporary, path]) rmSync(each, { force: true });
    // Mail goes on: a full disk is no reason to end, and the way out of it may be to read and delete mail.
    process.stderr.write(`mailfilter: cannot write ${path}: ${describeError(error)}\n`);
  }
}

export function removePidFile(root: string, role: string): void {
  rmSync(join(root, 'run', `${role}.pid`), { force: true });
}

function readPid(root: string): string {
  try {
    return readFileSync(join(root, 'run', 'mta.pid'), 'utf8').trim();
  } catch {
    // A server that just starts has not written it yet.
    return 'unknown';
  }
}
