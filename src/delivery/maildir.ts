/**
 * One copy into a Maildir: written in tmp, then renamed into new (or cur, when it has flags), so that a reader sees it
 * whole or not at all. https://cr.yp.to/proto/maildir.html; the file's name carries its sizes as Dovecot reads them.
 */
import { closeSync, fdatasync, futimesSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { errnoOf } from '../../core/base/errors.ts';
import { writeAll, writeAllSync } from '../../core/base/write-all.ts';
import type { StoredLength } from '../../core/mail/line-ends.ts';
import type { DirectorySync } from '../mailbox/directory-sync.ts';
import { isInbox, maildirFolderPath } from '../mailbox/folders.ts';
import { flagLetters } from '../mailbox/maildir-flags.ts';
import { isMaildirFolder, makeMaildirFolder } from '../mailbox/maildir-folder.ts';
import { noteMaildirSize } from '../mailbox/maildirsize.ts';
import type { Copy, MemoryCopy } from './copy.ts';
import type { StoreAction, StoreResult } from './store.ts';

const syncData = promisify(fdatasync);

/**
 * Stores a copy that lies in memory, blocking: the least CPU for small mail. Not synced.
 * @throws OperationalError `folder-name`; system errors. Nothing is left then.
 */
export function storeInMaildirNow(action: StoreAction, copy: MemoryCopy): StoreResult {
  const file = openInTmp(action);
  try {
    writeAllSync(file.fd, copy.chunks);
    return publish(action, file, copy.length);
  } catch (error) {
    discard(file);
    throw error;
  }
}

/**
 * Stores any copy, with bounded memory. With `durable`, file and folder are on disk when it resolves.
 * @throws OperationalError `folder-name`, and what the copy throws; system errors. Nothing is left then.
 */
export async function storeInMaildir(
  action: StoreAction,
  copy: Copy,
  durable?: DirectorySync,
): Promise<StoreResult> {
  const file = openInTmp(action);
  let result: StoreResult | undefined;
  try {
    const length = await writeCopy(file.fd, copy);
    if (durable) await syncData(file.fd);
    result = publish(action, file, length);
    if (durable)
      await Promise.all([durable.sync(dirname(result.path)), durable.syncNamesTo(dirname(result.path))]);
    return result;
  } catch (error) {
    if (result) removeFromMaildir(action, result);
    else discard(file);
    throw error;
  }
}

/** Writes the copy where a file already bears its name: what a crash left there was not whole. Not synced. */
export async function replaceInMaildir(action: StoreAction, copy: Copy, path: string): Promise<StoreResult> {
  const file = openInTmp(action);
  try {
    const length = await writeCopy(file.fd, copy);
    setArrival(file.fd, action.internalDate);
    closeTmp(file);
    renameSync(file.path, path);
    return { path, length: length.octets };
  } catch (error) {
    discard(file);
    throw error;
  }
}

/** Takes back a copy that this process stored and nobody was told of. */
export function removeFromMaildir(action: StoreAction, { path, length }: StoreResult): void {
  rmSync(path, { force: true });
  noteMaildirSize(action.path, -length, -1);
}

interface TmpFile {
  readonly fd: number;
  /** A number closed twice could be somebody else's file by then. */
  open: boolean;
  readonly path: string;
  readonly folderDirectory: string;
  readonly fallback?: string;
}

/** Opens the file in tmp; a folder that is missing is made, or gives way to INBOX. */
function openInTmp(action: StoreAction): TmpFile {
  const wanted = maildirFolderPath(action.path, action.folder);
  const fd = tryOpen(wanted, action.name);
  if (fd !== undefined) return tmpFile(fd, wanted, action.name);
  const missing = !isMaildirFolder(wanted);
  const fallsBack = missing && !action.create && !isInbox(action.folder);
  makeMaildirFolder(action.path, fallsBack ? 'INBOX' : action.folder);
  const directory = fallsBack ? action.path : wanted;
  const path = join(directory, 'tmp', action.name);
  return {
    ...tmpFile(openSync(path, 'wx', 0o600), directory, action.name),
    ...(fallsBack ? { fallback: `no folder ${action.folder}` } : {}),
  };
}

function tmpFile(fd: number, folderDirectory: string, name: string): TmpFile {
  return { fd, open: true, path: join(folderDirectory, 'tmp', name), folderDirectory };
}

/** Undefined when the folder is not there. */
function tryOpen(directory: string, name: string): number | undefined {
  const path = join(directory, 'tmp', name);
  try {
    return openSync(path, 'wx', 0o600);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    // The name is ours alone: a file that bears it was left by an attempt that was cut off.
    if (errnoOf(error) !== 'EEXIST') throw error;
    rmSync(path, { force: true });
    return openSync(path, 'wx', 0o600);
  }
}

async function writeCopy(fd: number, copy: Copy): Promise<StoredLength> {
  if (copy.kind === 'memory') {
    await writeAll(fd, copy.chunks);
    return copy.length;
  }
  const chunks = copy.open();
  for (;;) {
    const next = await chunks.next();
    if (next.done) return next.value;
    await writeAll(fd, [next.value]);
  }
}

/** The moment the message appears to readers. */
function publish(action: StoreAction, file: TmpFile, length: StoredLength): StoreResult {
  const { letters, dropped } = flagLetters(file.folderDirectory, action.flags);
  const sized = `${action.name},S=${length.octets},W=${length.crlfOctets}`;
  const path = join(
    file.folderDirectory,
    letters === '' ? join('new', sized) : join('cur', `${sized}:2,${letters}`),
  );
  setArrival(file.fd, action.internalDate);
  closeTmp(file);
  renameInto(action, file, path);
  noteMaildirSize(action.path, length.octets, 1);
  return {
    path,
    length: length.octets,
    ...(file.fallback === undefined ? {} : { fallback: file.fallback }),
    ...(dropped.length === 0 ? {} : { droppedFlags: dropped }),
  };
}

/** A folder may lack new or cur: a power cut can leave part of a new one. */
function renameInto(action: StoreAction, file: TmpFile, path: string): void {
  try {
    renameSync(file.path, path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    makeMaildirFolder(action.path, file.fallback === undefined ? action.folder : 'INBOX');
    renameSync(file.path, path);
  }
}

/** Dovecot and others take the file's time for INTERNALDATE; a delivery that happens at once has it right already. */
function setArrival(fd: number, internalDate: number): void {
  if (Math.abs(Date.now() - internalDate) > 2000) futimesSync(fd, internalDate / 1000, internalDate / 1000);
}

function closeTmp(file: TmpFile): void {
  if (!file.open) return;
  file.open = false;
  closeSync(file.fd);
}

function discard(file: TmpFile): void {
  closeTmp(file);
  rmSync(file.path, { force: true });
}
