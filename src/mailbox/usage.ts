/** How many octets a mailbox holds: from maildirsize where it is kept, else by adding up the files. */
import { opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../core/base/errors.ts';
import { mboxFoldersDirectory } from './folders.ts';
import { maildirSizeStaleMs, readMaildirSize } from './maildirsize.ts';

/**
 * @param root absolute path of the Maildir
 * @param quotaOctets when the file says more than this and is old, it is not believed
 * @param now epoch milliseconds
 * @throws system errors
 */
export async function maildirUsage(root: string, quotaOctets: number, now: number): Promise<number> {
  const noted = readMaildirSize(root);
  const doubted = noted && noted.octets > quotaOctets && now - noted.changedAt > maildirSizeStaleMs;
  if (noted && !doubted && noted.octets >= 0) return noted.octets;
  let octets = 0;
  for await (const folder of foldersOf(root)) {
    octets += (await messageOctets(join(folder, 'cur'))) + (await messageOctets(join(folder, 'new')));
  }
  return octets;
}

/** INBOX and all folders. @throws system errors */
export async function mboxUsage(inbox: string): Promise<number> {
  return (await fileOctets(inbox)) + (await treeOctets(mboxFoldersDirectory(inbox)));
}

async function* foldersOf(root: string): AsyncGenerator<string> {
  yield root;
  for await (const entry of entriesOf(root)) {
    if (entry.isDirectory() && entry.name.startsWith('.')) yield join(root, entry.name);
  }
}

/** The size stands in the name of most files; the others are asked for. */
async function messageOctets(directory: string): Promise<number> {
  let octets = 0;
  for await (const entry of entriesOf(directory)) {
    const size = /,S=(\d+)/.exec(entry.name)?.[1];
    octets += size === undefined ? await fileOctets(join(directory, entry.name)) : Number(size);
  }
  return octets;
}

async function treeOctets(directory: string): Promise<number> {
  let octets = 0;
  for await (const entry of entriesOf(directory)) {
    const path = join(directory, entry.name);
    octets += entry.isDirectory() ? await treeOctets(path) : await fileOctets(path);
  }
  return octets;
}

async function* entriesOf(directory: string) {
  try {
    yield* await opendir(directory, { bufferSize: 1024 });
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTDIR') throw error;
  }
}

async function fileOctets(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    // Moved or expunged while we counted.
    if (errnoOf(error) === 'ENOENT') return 0;
    throw error;
  }
}
