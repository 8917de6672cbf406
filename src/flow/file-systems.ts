/**
 * Putting deliveries on disk by file system: one syncfs(2) for all files and folders of a checkpoint. Where that cannot
 * be had or does not report write errors (Linux before 5.8), every file and folder is synced on its own.
 */
import { closeSync, openSync, statSync } from 'node:fs';
import { release } from 'node:os';
import { dirname } from 'node:path';
import koffi from 'koffi';
import { errnoOf } from '../../core/base/errors.ts';
import { createFinder } from '../delivery/find.ts';
import type { StoreAction } from '../delivery/store.ts';
import { createDirectorySync, type DirectorySync, syncPath } from '../mailbox/directory-sync.ts';

/** One stored copy, and where to look for it once its user has moved it. */
export interface WrittenCopy {
  readonly action: StoreAction;
  readonly path: string;
}

export interface FileSystems {
  /** True when `sync` needs to be told of every copy written. */
  readonly byPath: boolean;
  /** To be called before something is written below that directory, which may not exist yet. */
  cover(directory: string): void;
  /** Puts everything written before the call on disk, on all covered file systems. @throws Error when that failed or is in doubt */
  sync(written: Iterable<WrittenCopy>): Promise<void>;
  close(): void;
}

/** Directories whose file system is remembered; beyond that they are asked for again. */
const coveredMax = 50_000;

/** @param syncfs null where it is not to be used */
export function createFileSystems(syncfs: Syncfs | null = loadSyncfs()): FileSystems {
  /** By device number: open since before the first write, so that every write error since is reported to it. */
  const descriptors = new Map<number, number>();
  const covered = new Set<string>();
  const directorySync = createDirectorySync();
  return {
    byPath: syncfs === null,
    cover(directory) {
      if (syncfs === null || covered.has(directory)) return;
      if (covered.size >= coveredMax) covered.clear();
      const existing = nearest(directory);
      const { dev } = statSync(existing);
      if (!descriptors.has(dev)) descriptors.set(dev, openSync(existing, 'r'));
      // What does not exist yet may become a mount point, so only what exists is remembered.
      if (existing === directory) covered.add(directory);
    },
    async sync(written) {
      if (syncfs === null) {
        await syncEach(written, directorySync);
        return;
      }
      for (const fd of descriptors.values()) {
        const errno = await syncfs(fd);
        if (errno === 0) continue;
        throw Object.assign(new Error(`syncfs failed with errno ${errno}`), { code: `ERRNO${errno}` });
      }
    },
    close() {
      for (const fd of descriptors.values()) closeSync(fd);
      descriptors.clear();
      covered.clear();
    },
  };
}

/** Resolves with 0 or the errno. */
export type Syncfs = (fd: number) => Promise<number>;

/** Null where the kernel or the library lacks it. */
export function loadSyncfs(kernel = release()): Syncfs | null {
  const [major = 0, minor = 0] = kernel.split('.').map(Number);
  // Since 5.8 syncfs returns the error of a failed write-back; before, it is silent about it.
  if (process.platform !== 'linux' || major < 5 || (major === 5 && minor < 8)) return null;
  try {
    const call = koffi.load(null).func('int syncfs(int fd)');
    return (fd) =>
      new Promise((resolve, reject) => {
        call.async(fd, (error: unknown, result: number) => {
          if (error) reject(error);
          else resolve(result === 0 ? 0 : koffi.errno() || -1);
        });
      });
  } catch {
    return null;
  }
}

function nearest(directory: string): string {
  let path = directory;
  while (!statSync(path, { throwIfNoEntry: false })) path = dirname(path);
  return path;
}

async function syncEach(written: Iterable<WrittenCopy>, directorySync: DirectorySync): Promise<void> {
  const finder = createFinder();
  for (const { action, path } of written) {
    if (await syncedIfThere(path, directorySync)) continue;
    // Moved by its user, or deleted: then it is theirs to have deleted.
    const moved = action.format === 'maildir' ? await finder.inMaildir(action.path, action.name) : undefined;
    if (moved !== undefined) await syncedIfThere(moved, directorySync);
  }
}

/** File and folder, and the names that lead to it: delivery may have made the folder. */
async function syncedIfThere(path: string, directorySync: DirectorySync): Promise<boolean> {
  try {
    await syncPath(path);
    await syncPath(dirname(path));
    await directorySync.syncNamesTo(dirname(path));
    return true;
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return false;
  }
}
