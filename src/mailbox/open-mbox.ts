/**
 * Opens an mbox, in a spool as well that others may write to (/var/mail). Who puts a link in the place of a mailbox that
 * is not there yet would have mail written into any other file of its owner: links count only where root or the caller
 * made them, and a file with a second name not at all. As Postfix's local(8) does.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf } from '../../core/base/errors.ts';
import { storageErrorOf } from '../../core/base/storage-error.ts';

/**
 * For reading and writing; made where there is none.
 * @param flags further ones of open(2)
 * @throws OperationalError `storage-failed` for a link or a second name of somebody else; system errors
 */
export function openMbox(path: string, mode = 0o600, flags = 0): number {
  const fd = open(path, mode, flags | constants.O_RDWR | constants.O_CREAT);
  try {
    const file = fstatSync(fd);
    if (file.isFile() && file.nlink > 1 && canOthersWrite(dirname(path)))
      throw refusal(path, 'the file has another name as well');
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function open(path: string, mode: number, flags: number): number {
  try {
    return openSync(path, flags | constants.O_NOFOLLOW, mode);
  } catch (error) {
    if (errnoOf(error) !== 'ELOOP') throw error;
  }
  if (!canOthersWrite(dirname(path))) return openSync(path, flags, mode);
  refuseForeignLink(path);
  const fd = openSync(path, flags, mode);
  try {
    // Another one may have taken its place in between.
    refuseForeignLink(path);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function refuseForeignLink(path: string): void {
  const { uid } = lstatSync(path);
  if (uid !== 0 && uid !== process.geteuid?.()) throw refusal(path, 'a symbolic link of somebody else');
}

function canOthersWrite(folder: string): boolean {
  const { mode, uid } = statSync(folder);
  return (mode & 0o022) !== 0 || (uid !== 0 && uid !== process.geteuid?.());
}

function refusal(path: string, why: string): Error {
  return storageErrorOf('storage-failed', `mail is not stored in ${path}: ${why}`, { path });
}
