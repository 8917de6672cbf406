/**
 * One copy onto the end of an mbox, under both locks, undone when it fails. mboxrd: a line of the message that would
 * read as a From_ line, or as a quoted one, gets one more `>`. RFC 4155 for the From_ line.
 */
import { existsSync, fdatasync, fstatSync, ftruncateSync, mkdirSync, readSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { writeAll, writeAllSync } from '../../core/base/write-all.ts';
import type { DirectorySync } from '../mailbox/directory-sync.ts';
import { isInbox, mboxFolderPath } from '../mailbox/folders.ts';
import { endOfMessage, fromLine, MboxQuoter, mboxFlagFields } from '../mailbox/mbox/format.ts';
import { lockMbox, type MboxLock, tryLockMbox } from '../mailbox/mbox-lock.ts';
import type { Copy, MemoryCopy } from './copy.ts';
import type { StoreAction, StoreResult } from './store.ts';

const syncData = promisify(fdatasync);

/** The field by which a replay finds a copy that is there already. */
export const deliveryField = 'X-Mailfilter-Delivery';

/** Fields that a copy in an mbox has on top of those of a Maildir copy. */
export function mboxFields(action: StoreAction): string {
  return `${deliveryField}: ${action.id}\n${mboxFlagFields(action.flags)}`;
}

/**
 * Appends a copy that lies in memory, blocking; undefined when the mbox is locked by somebody else. Not synced.
 * @throws OperationalError `folder-name`; system errors. The mbox is as before then.
 */
export function storeInMboxNow(action: StoreAction, copy: MemoryCopy): StoreResult | undefined {
  const target = mboxTarget(action);
  const lock = withDirectory(target.path, () => tryLockMbox(target.path));
  if (!lock) return undefined;
  try {
    const size = fstatSync(lock.fd).size;
    try {
      const chunks = [opening(lock.fd, size, action), ...quoteAll(copy.chunks)];
      writeAllSync(lock.fd, chunks, size);
      return { ...target, length: sumOf(chunks) };
    } catch (error) {
      ftruncateSync(lock.fd, size);
      throw error;
    }
  } finally {
    lock.release();
  }
}

/**
 * Appends any copy, waiting for the locks without blocking the process. With `durable`, it is on disk when this
 * resolves. With `unless`, the mbox is looked through first, under the lock.
 * @throws OperationalError `folder-name`, `storage-failed` when it stays locked; system errors. The mbox is as before then.
 */
export async function storeInMbox(
  action: StoreAction,
  copy: Copy,
  { durable, unless }: { durable?: DirectorySync; unless?: (path: string) => Promise<boolean> } = {},
): Promise<StoreResult> {
  const target = mboxTarget(action);
  const lock = await withDirectory(target.path, () => lockMbox(target.path));
  try {
    if (unless && (await unless(target.path))) return { path: target.path, length: 0, present: true };
    const length = await append(lock, action, copy, durable !== undefined);
    await durable?.syncNamesTo(target.path);
    return { ...target, length };
  } finally {
    lock.release();
  }
}

/** Takes back the last copy, where nothing was appended after it. @returns false when it could not be */
export async function undoInMbox(result: StoreResult, action: StoreAction): Promise<boolean> {
  const lock = await lockMbox(result.path);
  try {
    const size = fstatSync(lock.fd).size;
    const start = size - result.length;
    if (start < 0) return false;
    const text = Buffer.alloc(Math.min(result.length, 4096));
    readSync(lock.fd, text, 0, text.length, start);
    if (!text.includes(`\n${deliveryField}: ${action.id}\n`)) return false;
    ftruncateSync(lock.fd, start);
    return true;
  } finally {
    lock.release();
  }
}

async function append(lock: MboxLock, action: StoreAction, copy: Copy, durable: boolean): Promise<number> {
  const size = fstatSync(lock.fd).size;
  try {
    let at = size;
    for await (const chunk of appended(lock.fd, size, action, copy)) {
      await writeAll(lock.fd, [chunk], at);
      at += chunk.length;
    }
    if (durable) await syncData(lock.fd);
    return at - size;
  } catch (error) {
    ftruncateSync(lock.fd, size);
    throw error;
  }
}

async function* appended(
  fd: number,
  size: number,
  action: StoreAction,
  copy: Copy,
): AsyncGenerator<Uint8Array> {
  yield opening(fd, size, action);
  yield* quoted(copy);
}

/** The copy as it stands in an mbox, From_ line excluded, the empty line at its end included. */
export async function* quoted(copy: Copy): AsyncGenerator<Uint8Array> {
  if (copy.kind === 'memory') {
    yield* quoteAll(copy.chunks);
    return;
  }
  const quoter = new MboxQuoter();
  for await (const chunk of copy.open()) yield* quoter.quote(chunk);
  yield* quoter.end();
}

function quoteAll(chunks: readonly Uint8Array[]): Uint8Array[] {
  const quoter = new MboxQuoter();
  return [...chunks.flatMap((chunk) => quoter.quote(chunk)), ...quoter.end()];
}

/** From_ line, after the empty line that must part it from what is there, which a program that died may have left out. */
function opening(fd: number, size: number, action: StoreAction): Buffer {
  const tail = Buffer.alloc(Math.min(2, size));
  readSync(fd, tail, 0, tail.length, size - tail.length);
  return Buffer.from(endOfMessage(tail) + fromLine(action.sender, action.internalDate));
}

function mboxTarget(action: StoreAction): { path: string; fallback?: string } {
  const path = mboxFolderPath(action.path, action.folder);
  if (action.create || isInbox(action.folder) || existsSync(path)) return { path };
  return { path: action.path, fallback: `no folder ${action.folder}` };
}

/** Runs `open`, and once more after making the directory it missed. */
function withDirectory<T>(path: string, open: () => T): T {
  if (!existsSync(dirname(path))) mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  return open();
}

function sumOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}
