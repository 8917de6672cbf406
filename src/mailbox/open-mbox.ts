/**
 * Opens an mbox, in a spool as well that others may write to (/var/mail). Who puts a link in the place of a mailbox that
 * is not there yet would have mail written into any other file of its owner: links count only where root or the caller
 * made them, and a file with a second name not at all. Who puts a file of his own there would read the mail: it must
 * belong to whom the mailbox is for. As Postfix's local(8) does, with strict_mailbox_ownership.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, fstatSync, lstatSync, openSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { errnoOf } from '../../core/base/errors.ts';
import { userLookupMs, usersFoundMax } from '../../core/base/limits/mailbox.ts';
import { storageErrorOf } from '../../core/base/storage-error.ts';

/**
 * For reading and writing; made where there is none.
 * @param flags further ones of open(2)
 * @throws OperationalError `storage-failed` for a link, a second name or a file of somebody else; system errors
 */
export function openMbox(path: string, mode = 0o600, flags = 0): number {
  const { fd, isLink } = open(path, mode, flags | constants.O_RDWR);
  try {
    const file = fstatSync(fd);
    if (file.isFile() && file.nlink > 1 && canOthersWrite(dirname(path)))
      throw refusal(path, 'the file has another name as well');
    // Where root or the caller made a link, they know whose file it leads to.
    if (file.isFile() && !isLink) refuseForeignFile(path, file.uid);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function open(path: string, mode: number, flags: number): { fd: number; isLink: boolean } {
  try {
    return { fd: openOrMake(path, mode, flags | constants.O_NOFOLLOW), isLink: false };
  } catch (error) {
    if (errnoOf(error) !== 'ELOOP') throw error;
  }
  if (!canOthersWrite(dirname(path))) return { fd: openOrMake(path, mode, flags), isLink: true };
  refuseForeignLink(path);
  const fd = openOrMake(path, mode, flags);
  try {
    // Another one may have taken its place in between.
    refuseForeignLink(path);
    return { fd, isLink: true };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** In a sticky folder Linux refuses O_CREAT for a file of another user that is there (fs.protected_regular, proc_sys_fs(5)). */
function openOrMake(path: string, mode: number, flags: number): number {
  try {
    return openSync(path, flags);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  return openSync(path, flags | constants.O_CREAT, mode);
}

/** In /var/mail the name of the file is that of its user, to which one who delivers for all has access by a group. */
function refuseForeignFile(path: string, owner: number): void {
  if (owner === 0 || owner === process.geteuid?.()) return;
  const folder = dirname(path);
  if (!canOthersWrite(folder) || owner === statSync(folder).uid) return;
  const name = basename(path);
  if (isUser(name, owner)) return;
  const mend = 'give it to its user (chown), or move it away';
  throw refusal(path, `the file belongs to user id ${owner}, and others may write to its folder: ${mend}`);
}

/** Found once; an account may change its number, so what did not fit is looked up again. */
const usersFound = new Map<string, number>();

/** By the system's databases, which may lie elsewhere (nsswitch.conf(5)); false when they do not tell. */
function isUser(name: string, uid: number): boolean {
  if (usersFound.get(name) === uid) return true;
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(name) || lookUp(name) !== uid) return false;
  if (usersFound.size >= usersFoundMax) usersFound.clear();
  usersFound.set(name, uid);
  return true;
}

function lookUp(name: string): number | undefined {
  try {
    const line = execFileSync('getent', ['passwd', name], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: userLookupMs,
    });
    const [entry, , uid] = line.split(':');
    // A number is looked up as an id as well.
    return entry === name ? Number(uid) : undefined;
  } catch {
    // No such user, no getent, or no answer in time: whoever owns the file is not known to be the right one.
    return undefined;
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
