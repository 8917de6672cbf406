/**
 * Writes a stored copy once more, octet for octet, after a sync failed: the kernel may then hold pages for clean that
 * never reached the disk, and only octets written again are tried again.
 */
import { closeSync, futimesSync, openSync, readSync, statSync } from 'node:fs';
import { errnoOf } from '../../core/base/errors.ts';
import { writeAllSync } from '../../core/base/write-all.ts';
import { mboxFolderPath } from '../mailbox/folders.ts';
import { lockMbox } from '../mailbox/mbox-lock.ts';
import type { Finder } from './find.ts';
import type { StoreAction } from './store.ts';

/** Octets at a time. */
const pieceBytes = 1024 * 1024;

/** A copy that its user deleted since stays deleted. @throws OperationalError when an mbox stays locked; system errors */
export async function rewriteCopy(action: StoreAction, finder: Finder): Promise<void> {
  if (action.format === 'maildir') {
    const path = await finder.inMaildir(action.path, action.name);
    if (path !== undefined) rewriteFile(path);
    return;
  }
  for (const path of new Set([mboxFolderPath(action.path, action.folder), action.path])) {
    if (!statSync(path, { throwIfNoEntry: false })) continue;
    const lock = await lockMbox(path);
    try {
      rewriteFile(path);
    } finally {
      lock.release();
    }
  }
}

/** Within this process, one file after the other: what is rare may take the time. */
function rewriteFile(path: string): void {
  let fd: number;
  try {
    fd = openSync(path, 'r+');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw error;
  }
  try {
    const { atimeMs, mtimeMs } = statSync(path);
    const piece = Buffer.allocUnsafe(pieceBytes);
    for (let at = 0; ; ) {
      const read = readSync(fd, piece, 0, piece.length, at);
      if (read === 0) break;
      writeAllSync(fd, [piece.subarray(0, read)], at);
      at += read;
    }
    futimesSync(fd, atimeMs / 1000, mtimeMs / 1000);
  } finally {
    closeSync(fd);
  }
}
