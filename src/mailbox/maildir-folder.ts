/** Making a Maildir or a folder of one: cur, new, tmp, the mark of a folder, and its line in the subscriptions. Maildir++. */
import { appendFileSync, closeSync, mkdirSync, openSync, readSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isInbox, maildirFolderPath } from './folders.ts';
import { encodeModifiedUtf7 } from './modified-utf7.ts';

/**
 * Makes what is missing of the Maildir and of the folder, for their owner alone. A folder that mail made is subscribed,
 * so that its owner sees it; one that its owner made is for them to subscribe.
 * @throws OperationalError `folder-name`; system errors
 */
export function makeMaildirFolder(
  root: string,
  folder: string,
  subscription: 'subscribed' | 'not subscribed' = 'subscribed',
): void {
  makeDirectories(root);
  if (isInbox(folder)) return;
  const directory = maildirFolderPath(root, folder);
  if (!makeDirectories(directory)) return;
  writeFileSync(join(directory, 'maildirfolder'), '', { mode: 0o600 });
  if (subscription === 'subscribed') subscribe(root, folder);
}

export function isMaildirFolder(directory: string): boolean {
  return statSync(join(directory, 'tmp'), { throwIfNoEntry: false })?.isDirectory() === true;
}

/** True when the directory was not there. */
function makeDirectories(directory: string): boolean {
  const fresh = mkdirSync(directory, { recursive: true, mode: 0o700 }) !== undefined;
  for (const part of ['tmp', 'new', 'cur'])
    mkdirSync(join(directory, part), { recursive: true, mode: 0o700 });
  return fresh;
}

/** Dovecot's file of subscriptions: version 2 parts the levels by tabs, version 1 by the Maildir++ dot. */
function subscribe(root: string, folder: string): void {
  const path = join(root, 'subscriptions');
  const levels = folder.split('/').map((level) => encodeModifiedUtf7(level));
  const existing = statSync(path, { throwIfNoEntry: false });
  if (!existing) writeFileSync(path, 'V\t2\n\n', { mode: 0o600 });
  const versionTwo = !existing || readStart(path) === 'V\t2\n';
  appendFileSync(path, `${levels.join(versionTwo ? '\t' : '.')}\n`);
}

function readStart(path: string): string {
  const start = Buffer.alloc(4);
  const fd = openSync(path, 'r');
  try {
    return start.toString('latin1', 0, readSync(fd, start, 0, start.length, 0));
  } finally {
    closeSync(fd);
  }
}
