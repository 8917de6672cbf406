/**
 * Tells when folders change on disk, whoever changes them: inotify where the system has it, a look now and then where
 * not, and where a change of our own may have hidden another's.
 */
import { type FSWatcher, watch } from 'node:fs';
import { describeError } from '../../../core/base/errors.ts';
import { folderPollMs, watchRestFactor } from '../../../core/base/limits/mailbox.ts';
import type { Log } from '../../../core/base/log.ts';

interface Watched {
  readonly watched: readonly string[];
  /** Epoch milliseconds. */
  readonly lookDueAt: number;
}

interface Watch {
  readonly paths: Watched;
  end(): void;
  /** A look is under way or waits for its time. */
  busy: boolean;
  /** Something changed while it was. */
  again: boolean;
  /** No inotify: to be looked at each time. */
  polled: boolean;
}

export class FolderWatches<F extends object> {
  readonly #look: (folder: F) => Promise<void>;
  readonly #log: Log;
  readonly #watches = new Map<F, Watch>();
  #timer: NodeJS.Timeout | undefined;

  constructor(look: (folder: F) => Promise<void>, log: Log) {
    this.#look = look;
    this.#log = log;
  }

  add(folder: F, paths: Watched): void {
    const entry: Watch = { paths, end: () => {}, busy: false, again: false, polled: false };
    this.#watches.set(folder, entry);
    const changed = () => this.#changed(folder, entry);
    entry.end = watchPaths(paths.watched, changed, this.#log, undefined, () => {
      entry.polled = true;
    });
    this.#timer ??= setInterval(() => this.#poll(), folderPollMs).unref();
  }

  remove(folder: F): void {
    this.#watches.get(folder)?.end();
    this.#watches.delete(folder);
    if (this.#watches.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #poll(): void {
    const now = Date.now();
    for (const [folder, entry] of this.#watches)
      if (entry.polled || entry.paths.lookDueAt <= now) this.#changed(folder, entry);
  }

  #changed(folder: F, entry: Watch): void {
    entry.again = true;
    if (!entry.busy) this.#lookUntilQuiet(folder, entry).catch((error: unknown) => this.#failed(error));
  }

  async #lookUntilQuiet(folder: F, entry: Watch): Promise<void> {
    entry.busy = true;
    try {
      while (entry.again && this.#watches.get(folder) === entry) {
        entry.again = false;
        const began = performance.now();
        await this.#look(folder);
        // A flood of deliveries into a large folder must not keep the thread at listing it.
        await rest((performance.now() - began) * watchRestFactor);
      }
    } finally {
      entry.busy = false;
    }
  }

  #failed(error: unknown): void {
    this.#log.warn('folder-look-failed', { error: describeError(error) });
  }
}

function rest(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

/**
 * Calls `changed` for changes below these paths. @param wanted which names matter
 * @param failed called where the system has no watch left
 * @returns a function that ends it
 */
export function watchPaths(
  paths: readonly string[],
  changed: () => void,
  log: Log,
  wanted: (name: string) => boolean = () => true,
  failed: () => void = () => {},
): () => void {
  const watchers: FSWatcher[] = [];
  for (const path of paths) {
    try {
      const watcher = watch(path, { persistent: false }, (_, name) => {
        if (name === null || wanted(name)) changed();
      });
      // The directory itself went: whoever uses the folder finds out.
      watcher.on('error', changed);
      watchers.push(watcher);
    } catch (error) {
      log.debug('folder-not-watched', { path, error: describeError(error) });
      failed();
    }
  }
  return () => {
    for (const watcher of watchers) watcher.close();
  };
}
