/** fsync of directories, shared: all who wait for one directory while a sync of it runs are served by the next one. */
import { close, fsync, open } from 'node:fs';
import { promisify } from 'node:util';

const openFile = promisify(open);
const syncFile = promisify(fsync);
const closeFile = promisify(close);

export interface DirectorySync {
  /** Resolves when every name made in that directory before the call is on disk. @throws system errors */
  sync(directory: string): Promise<void>;
}

export function createDirectorySync(): DirectorySync {
  /** The sync that has not begun yet, for each directory that has one running. */
  const next = new Map<string, Promise<void>>();
  const running = new Map<string, Promise<void>>();

  function begin(directory: string): Promise<void> {
    const sync = syncDirectory(directory).finally(() => running.delete(directory));
    running.set(directory, sync);
    return sync;
  }

  return {
    sync(directory) {
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
    },
  };
}

/** @throws system errors */
export async function syncDirectory(directory: string): Promise<void> {
  await syncPath(directory);
}

/** fsync of a file or a directory by its path. @throws system errors */
export async function syncPath(path: string): Promise<void> {
  const fd = await openFile(path, 'r');
  try {
    await syncFile(fd);
  } finally {
    await closeFile(fd);
  }
}

function noop(): void {}
