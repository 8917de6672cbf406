/** Local delivery of one copy, whatever the format of the mailbox: at once, with waiting, durably, or again after a crash. */
import { dirname } from 'node:path';
import { type DirectorySync, syncPath } from '../mailbox/directory-sync.ts';
import { maildirFolderPath, mboxFolderPath } from '../mailbox/folders.ts';
import type { Copy } from './copy.ts';
import type { Finder } from './find.ts';
import { isWholeFile } from './find.ts';
import { removeFromMaildir, replaceInMaildir, storeInMaildir, storeInMaildirNow } from './maildir.ts';
import { mboxFields, storeInMbox, storeInMboxNow, undoInMbox } from './mbox.ts';
import type { StoreAction, StoreResult } from './store.ts';

/** Fields on top that the format asks for: to be given when the copy is made. */
export function extraFields(action: StoreAction): string {
  return action.format === 'mbox' ? mboxFields(action) : '';
}

/**
 * Stores a small copy, blocking; not synced. Undefined when that would mean waiting (a large copy, a locked mbox): then
 * `store` is for it. @throws OperationalError and system errors; the mailbox is as before then
 */
export function storeNow(action: StoreAction, copy: Copy): StoreResult | undefined {
  if (copy.kind !== 'memory') return undefined;
  return action.format === 'mbox' ? storeInMboxNow(action, copy) : storeInMaildirNow(action, copy);
}

/**
 * Stores any copy with bounded memory; with `durable` it is on disk when this resolves.
 * @throws OperationalError and system errors; the mailbox is as before then
 */
export async function store(action: StoreAction, copy: Copy, durable?: DirectorySync): Promise<StoreResult> {
  if (action.format === 'maildir') return storeInMaildir(action, copy, durable);
  return storeInMbox(action, copy, { durable });
}

/**
 * Stores a copy that may be there already: after a crash, or when an earlier attempt ended in the dark. It is there
 * once when this resolves, whole; `present` in the result says that it was there.
 * @throws OperationalError and system errors
 */
export async function storeOnce(action: StoreAction, copy: Copy, finder: Finder): Promise<StoreResult> {
  if (action.format === 'mbox') {
    return storeInMbox(action, copy, { unless: (path) => finder.inMbox(path, action.id, copy) });
  }
  const path = await finder.inMaildir(action.path, action.name);
  if (path === undefined) return storeInMaildir(action, copy);
  if (await isWholeFile(path, copy)) return { path, length: 0, present: true };
  return replaceInMaildir(action, copy, path);
}

/** The same, on disk when it resolves, whoever stored it. @throws OperationalError and system errors */
export async function storeOnceDurably(
  action: StoreAction,
  copy: Copy,
  finder: Finder,
  directorySync: DirectorySync,
): Promise<StoreResult> {
  const result = await storeOnce(action, copy, finder);
  // What an earlier attempt left there may not be synced either.
  await syncPath(result.path);
  const directory = dirname(result.path);
  await Promise.all([directorySync.sync(directory), directorySync.syncNamesTo(directory)]);
  return result;
}

/** Takes back what this process stored and nobody was told of. @returns false when it could not be taken back */
export async function undo(action: StoreAction, result: StoreResult): Promise<boolean> {
  if (action.format === 'mbox') return undoInMbox(result, action);
  removeFromMaildir(action, result);
  return true;
}

/** The directory that a copy will lie in, as far as that can be told before: for what is known by file system. */
export function directoryOf(action: StoreAction): string {
  return action.format === 'mbox'
    ? dirname(mboxFolderPath(action.path, action.folder))
    : maildirFolderPath(action.path, action.folder);
}
