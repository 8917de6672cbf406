/** Making a Maildir or a folder of one: cur, new, tmp, the mark of a folder, and its line in the subscriptions. Maildir++. */
import { appendFileSync, closeSync, mkdirSync, openSync, readSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isInbox, maildirFolderPath } from './folders.ts';
import { encodeModifiedUtf7 } from './modified-utf7.ts';

/**
 * Makes what is missing of the Maildir and of the folder, for their owner alone.
 * @returns directories in which names were made, for those who sync them
 * @throws OperationalError `folder-name`; system errors
 */
export function makeMaildirFolder(root: string, folder: string): string[] {
  const made: string[] = [];
  makeDirectories(root, made);
  if (isInbox(folder)) return made;
  const directory = maildirFolderPath(root, folder);
  const fresh = makeDirectories(directory, made);
  if (!fresh) return made;
  writeFileSync(join(directory, 'maildirfolder'), '', { mode: 0o600 });
  subscribe(root, folder);
  return made;
}

export function isMaildirFolder(directory: string): boolean {
  return statSync(join(directory, 'tmp'), { throwIfNoEntry: false })?.isDirectory() === true;
}

/** True when the directory was not there. */
function makeDirectories(directory: string, made: string[]): boolean {
  const first = mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (first !== undefined) {
    for (let path = directory; path.length >= first.length; path = dirname(path)) made.push(dirname(path));
  }
  for (const part of ['tmp', 'new', 'cur']) {
    if (mkdirSync(join(directory, part), { recursive: true, mode: 0o700 }) !== undefined)
      made.push(directory);
  }
  return first !== undefined;
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
