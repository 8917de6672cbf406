/** Makes commits of the queue's database durable without holding up the event loop. */
import { closeSync, openSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { OperationalError } from '../../core/base/errors.ts';
import { storageError } from '../../core/base/storage-error.ts';
import { GroupSync } from './group-sync.ts';

/**
 * The database runs with synchronous=NORMAL, where a commit writes to the write-ahead log and only checkpoints sync. The
 * sync that synchronous=FULL would do within the commit is done here on a thread, once for all commits that wait for
 * it: the same promise (sqlite.org/pragma.html#pragma_synchronous), without the main thread blocked for its time.
 */
export class WalSync {
  readonly #database: DatabaseSync;
  readonly #fd: number;
  readonly #group: GroupSync;
  #failed = false;

  /** @param path of the database; its write-ahead log must exist, and stays the same file while it is open. */
  constructor(database: DatabaseSync, path: string) {
    this.#database = database;
    // Locks are held on the database and its -shm file, never on the log: closing this descriptor releases none.
    this.#fd = openSync(`${path}-wal`, 'r+');
    this.#group = new GroupSync(this.#fd, 'data');
  }

  /** Resolves when all that is committed is on disk; rejects with an OperationalError when nobody can tell. */
  async sync(): Promise<void> {
    if (this.#failed) this.#checkpoint();
    try {
      await this.#group.sync();
    } catch (error) {
      this.#failed = true;
      throw storageError(error, 'sync queue');
    }
    // Another's sync may have failed meanwhile and taken our pages' errors with it.
    if (this.#failed) this.#checkpoint();
  }

  /** After somebody else's sync failed: the next one writes everything anew. */
  distrust(): void {
    this.#failed = true;
  }

  close(): void {
    closeSync(this.#fd);
  }

  /**
   * A kernel forgets what it could not write once it has said so: the next sync of the log would say yes. A checkpoint
   * writes all of it anew, into the database, and syncs that.
   */
  #checkpoint(): void {
    const row = this.#database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get();
    if (row?.busy !== 0) {
      throw new OperationalError('storage-failed', 'the queue cannot be written to disk', {
        temporary: true,
      });
    }
    this.#failed = false;
  }
}
