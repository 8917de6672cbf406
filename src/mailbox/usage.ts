/** How many octets a mailbox holds: from maildirsize where it is kept, else by adding up the files. */
import { opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../core/base/errors.ts';
import { mboxFoldersDirectory } from './folders.ts';
import { maildirSizeStaleMs, readMaildirSize, writeMaildirSize } from './maildirsize.ts';

/**
 * @param root absolute path of the Maildir
 * @param quotaOctets when the file says more than this and is old, or was begun for another quota, it is not believed
 * @param now epoch milliseconds
 * @throws system errors
 */
export async function maildirUsage(root: string, quotaOctets: number, now: number): Promise<number> {
  const noted = readMaildirSize(root);
  const doubted = noted && noted.octets > quotaOctets && now - noted.changedAt > maildirSizeStaleMs;
  const isOurs = noted?.quotaOctets === quotaOctets;
  if (noted && !doubted && isOurs && noted.octets >= 0) return noted.octets;
  const total = { octets: 0, messages: 0 };
  for await (const folder of foldersOf(root)) {
    for (const part of ['cur', 'new']) await addMessages(join(folder, part), total);
  }
  if (quotaOctets > 0) writeMaildirSize(root, quotaOctets, total.octets, total.messages);
  return total.octets;
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
async function addMessages(directory: string, total: { octets: number; messages: number }): Promise<void> {
  for await (const entry of entriesOf(directory)) {
    const size = /,S=(\d+)/.exec(entry.name)?.[1];
    total.octets += size === undefined ? await fileOctets(join(directory, entry.name)) : Number(size);
    total.messages += 1;
  }
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
