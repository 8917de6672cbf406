/** fsync of directories, shared: all who wait for one directory while a sync of it runs are served by the next one. */
import { closeSync, fsync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { errnoOf } from '../../core/base/errors.ts';

const syncFile = promisify(fsync);

export interface DirectorySync {
  /** Resolves when every name made in that directory before the call is on disk. @throws system errors */
  sync(directory: string): Promise<void>;
  /**
   * Resolves when the names that lead to this path are on disk, whoever made them: once for each file or directory
   * of that name in the life of the process, since a name that was synced stays. @throws system errors
   */
  syncNamesTo(path: string): Promise<void>;
}

/** Names known to be on disk; forgotten past this, they are synced again. */
const namesMax = 50_000;

export function createDirectorySync(): DirectorySync {
  /** The sync that has not begun yet, for each directory that has one running. */
  const next = new Map<string, Promise<void>>();
  const running = new Map<string, Promise<void>>();

  function begin(directory: string): Promise<void> {
    const sync = syncDirectory(directory).finally(() => running.delete(directory));
    running.set(directory, sync);
    return sync;
  }

  function sync(directory: string): Promise<void> {
    const current = running.get(directory);
    if (!current) return begin(directory);
    let waiting = next.get(directory);
    if (!waiting) {
      // What the running one ends with concerns only those who wait for it.
      waiting = current.then(noop, noop).then(() => {
        next.delete(directory);
        return begin(directory);
      });
      next.set(directory, waiting);
    }
    return waiting;
  }

  /** What the name stood for when it was synced. Whoever makes a folder anew makes what is in it anew. */
  const named = new Map<string, string>();

  async function syncNamesTo(path: string): Promise<void> {
    const parent = dirname(path);
    if (parent === path) return;
    // Before the sync: what takes its place meanwhile is something else the next time.
    const identity = identityOf(path);
    if (identity !== undefined && named.get(path) === identity) return;
    await Promise.all([syncNamesTo(parent), syncReadable(parent)]);
    if (identity === undefined) return;
    if (named.size >= namesMax) named.clear();
    named.set(path, identity);
  }

  async function syncReadable(directory: string): Promise<void> {
    try {
      await sync(directory);
    } catch (error) {
      // A directory we may not read is not one that we made names in.
      if (errnoOf(error) !== 'EACCES') throw error;
    }
  }

  return { sync, syncNamesTo };
}

/** Tells a file or directory from another of the same name, also where inode numbers are used again. */
function identityOf(path: string): string | undefined {
  try {
    const { dev, ino, birthtimeNs } = statSync(path, { bigint: true });
    return `${dev}:${ino}:${birthtimeNs}`;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    // Nothing is known of it, so nothing is remembered.
    return undefined;
  }
}

/** @throws system errors */
async function syncDirectory(directory: string): Promise<void> {
  await syncPath(directory);
}

/** fsync of a file or a directory by its path. @throws system errors */
export async function syncPath(path: string): Promise<void> {
  // What takes microseconds is not worth a turn of the thread pool.
  const fd = openSync(path, 'r');
  try {
    await syncFile(fd);
  } finally {
    closeSync(fd);
  }
}

function noop(): void {}
