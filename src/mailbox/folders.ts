/**
 * Folder names to paths: Maildir++ (`.A.B` beside cur, new and tmp) and mbox files below a directory. RFC 3501 section
 * 5.1.3 for the encoding of names. https://www.courier-mta.org/imap/README.maildirquota.html
 */
import { basename, dirname, join } from 'node:path';
import { OperationalError } from '../../core/base/errors.ts';
import { folderDepthMax, folderNameBytesMax } from '../../core/base/limits/mailbox.ts';
import { encodeModifiedUtf7 } from './modified-utf7.ts';

export function isInbox(folder: string): boolean {
  return folder.toUpperCase() === 'INBOX';
}

/** @throws OperationalError `folder-name` (permanent) */
export function checkFolderName(format: 'maildir' | 'mbox', folder: string): void {
  if (format === 'maildir') maildirFolderPath('/', folder);
  else mboxFolderPath('/inbox', folder);
}

/**
 * @param root absolute path of the Maildir
 * @param folder `INBOX`, or levels in UTF-8 parted by `/`
 * @returns absolute path of the directory that holds cur, new and tmp
 * @throws OperationalError `folder-name` (permanent) for a name that is no folder or would leave the Maildir
 */
export function maildirFolderPath(root: string, folder: string): string {
  if (isInbox(folder)) return root;
  // A dot parts the levels of Maildir++, so one inside a level is written as Courier writes it.
  const levels = folderLevels(folder).map((level) => encodeModifiedUtf7(level, '.'));
  return join(root, checkedLength(`.${levels.join('.')}`));
}

/**
 * The mbox file of a folder: `INBOX` is the file itself, others lie in a hidden directory beside it, sub-folders in
 * directories that end in `.sbd`.
 * @throws OperationalError `folder-name` (permanent)
 */
export function mboxFolderPath(inbox: string, folder: string): string {
  if (isInbox(folder)) return inbox;
  const levels = folderLevels(folder).map((level) => checkedLength(encodeModifiedUtf7(level)));
  // These endings are those of lock files and of directories of sub-folders.
  if (levels.some((level) => /\.(lock|sbd)$/i.test(level))) throw badFolder(folder);
  const parents = levels.slice(0, -1).map((level) => `${level}.sbd`);
  return join(mboxFoldersDirectory(inbox), ...parents, levels.at(-1)!);
}

/** A user's name never begins with a dot, so this is nobody's INBOX. */
export function mboxFoldersDirectory(inbox: string): string {
  return join(dirname(inbox), `.${basename(inbox)}`);
}

function folderLevels(folder: string): string[] {
  const levels = folder.split('/');
  if (levels.length > folderDepthMax) throw badFolder(folder);
  for (const level of levels) {
    if (level === '' || level.startsWith('.') || /[\0-\x1f\x7f]/.test(level)) throw badFolder(folder);
  }
  return levels;
}

function checkedLength(name: string): string {
  if (Buffer.byteLength(name) > folderNameBytesMax) throw badFolder(name);
  return name;
}

function badFolder(folder: string): OperationalError {
  return new OperationalError('folder-name', `"${folder}" is not a folder name`, {
    temporary: false,
    clientText: 'invalid folder name',
    facts: { folder },
  });
}
