/** Which folders a mailbox has, as plugins ask: INBOX always, the others as they lie on disk. Maildir++ and our mbox layout. */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../core/base/errors.ts';
import { isInbox, maildirFolderPath, mboxFolderPath, mboxFoldersDirectory } from './folders.ts';
import { readMailboxId } from './maildir/uid-list.ts';
import { isMaildirFolder } from './maildir-folder.ts';
import { Identities, identitiesFile } from './mbox/identities.ts';
import { decodeModifiedUtf7 } from './modified-utf7.ts';

export interface MailboxPlace {
  readonly format: 'maildir' | 'mbox';
  /** Absolute: the Maildir's root, or the INBOX mbox file. */
  readonly path: string;
}

/** @throws OperationalError `folder-name` for a name that can be no folder */
export function folderExists({ format, path }: MailboxPlace, folder: string): boolean {
  if (isInbox(folder)) return true;
  return format === 'maildir'
    ? isMaildirFolder(maildirFolderPath(path, folder))
    : existsSync(mboxFolderPath(path, folder));
}

/**
 * The folder of that id, undefined where none has it. Delivery opens no folder for it: ids are read where they stand, and a
 * folder that no client has looked into has none. RFC 8474.
 */
export async function folderWithId(place: MailboxPlace, id: string): Promise<string | undefined> {
  const { format, path } = place;
  const folders = await listFolders(place);
  if (format === 'mbox') {
    const identities = new Identities(identitiesFile(path));
    return folders.find((folder) => identities.get(folder)?.mailboxId === id);
  }
  for (const folder of folders) {
    const directory = isInbox(folder) ? path : maildirFolderPath(path, folder);
    if ((await readMailboxId(directory)) === id) return folder;
  }
  return undefined;
}

/** Names in UTF-8, levels parted by `/`, INBOX first, the others sorted. */
export async function listFolders({ format, path }: MailboxPlace): Promise<string[]> {
  const found =
    format === 'maildir' ? await maildirFolders(path) : await mboxFolders(mboxFoldersDirectory(path), '');
  return ['INBOX', ...found.sort()];
}

async function maildirFolders(root: string): Promise<string[]> {
  const names = (await namesIn(root)).filter(({ name, directory }) => directory && /^\.[^.]/.test(name));
  const folders = names.filter(({ name }) => isMaildirFolder(join(root, name)));
  return folders.flatMap(({ name }) => {
    const levels = name.slice(1).split('.').map(decodeModifiedUtf7);
    // A name that is not modified UTF-7 throughout would not lead back to the directory.
    return levels.includes(undefined) ? [] : [levels.join('/')];
  });
}

async function mboxFolders(directory: string, parent: string): Promise<string[]> {
  const folders: string[] = [];
  for (const { name, directory: nested } of await namesIn(directory)) {
    // Subscriptions and annotations.
    if (name.startsWith('.')) continue;
    if (nested && name.endsWith('.sbd')) {
      const level = decodeModifiedUtf7(name.slice(0, -'.sbd'.length));
      folders.push(...(await mboxFolders(join(directory, name), `${parent}${level}/`)));
    } else if (!nested && !name.endsWith('.lock')) {
      folders.push(`${parent}${decodeModifiedUtf7(name)}`);
    }
  }
  return folders;
}

async function namesIn(directory: string): Promise<{ name: string; directory: boolean }[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries.map((entry) => ({ name: entry.name, directory: entry.isDirectory() }));
  } catch (error) {
    // A mailbox that has not had mail yet.
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
