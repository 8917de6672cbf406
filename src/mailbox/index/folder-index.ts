/**
 * What a mailbox format cannot hold of a user's folders, in one SQLite file: modseqs, sizes and dates, and which UIDs
 * were expunged when. A cache: written behind the answers, and begun anew when it is lost or damaged; modseqs go on
 * above all that were told, since they grow with the clock.
 */
import { rmSync } from 'node:fs';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { describeError } from '../../../core/base/errors.ts';
import { expungedKeptMax } from '../../../core/base/limits/mailbox.ts';
import type { Log } from '../../../core/base/log.ts';
import { openDatabase } from '../../../core/state/sqlite-file.ts';

const steps = [
  `CREATE TABLE folder (
     id INTEGER PRIMARY KEY,
     mailbox_id TEXT NOT NULL UNIQUE,
     uid_validity INTEGER NOT NULL,
     highest_modseq INTEGER NOT NULL,
     first_recent_uid INTEGER NOT NULL,
     history_from INTEGER NOT NULL,
     clean_in_boot TEXT NOT NULL
   ) STRICT;
   CREATE TABLE message (
     folder INTEGER NOT NULL,
     uid INTEGER NOT NULL,
     flags INTEGER NOT NULL,
     modseq INTEGER NOT NULL,
     size INTEGER,
     internal_date REAL,
     save_date REAL,
     PRIMARY KEY (folder, uid)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE expunged (
     folder INTEGER NOT NULL,
     modseq INTEGER NOT NULL,
     uid INTEGER NOT NULL,
     PRIMARY KEY (folder, modseq, uid)
   ) STRICT, WITHOUT ROWID`,
];

export interface FolderRow {
  readonly highestModseq: number;
  readonly firstRecentUid: number;
  /** Expunges after that modseq are all known. */
  readonly historyFrom: number;
  /** Boot in which the row was written as the last thing of an orderly end; '' while the folder is in use. */
  readonly cleanInBoot: string;
}

export type MessageRow = readonly [
  uid: number,
  flags: number,
  modseq: number,
  size: number | null,
  internalDate: number | null,
  saveDate: number | null,
];

export interface Changes {
  readonly folder: FolderRow;
  readonly messages: readonly MessageRow[];
  readonly expunged: readonly { readonly uid: number; readonly modseq: number }[];
}

export interface LoadedFolder extends FolderRow {
  readonly messages: readonly MessageRow[];
}

export class FolderIndex {
  readonly #path: string;
  readonly #log: Log;
  #statements: Statements | undefined;
  /** Grows whenever everything that was saved is lost: folders save themselves whole again. */
  generation = 0;

  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
  }

  /** Undefined when nothing is known of it, or of its UIDs. */
  load(mailboxId: string, uidValidity: number): LoadedFolder | undefined {
    return this.#try(({ selectFolder, selectMessages, database }) => {
      const row = selectFolder.get(mailboxId) as Record<string, number | string> | undefined;
      if (!row) return undefined;
      if (row.uid_validity !== uidValidity) {
        removeFolder(database, Number(row.id));
        return undefined;
      }
      return {
        highestModseq: Number(row.highest_modseq),
        firstRecentUid: Number(row.first_recent_uid),
        historyFrom: Number(row.history_from),
        cleanInBoot: String(row.clean_in_boot),
        messages: selectMessages.all(row.id!) as unknown as MessageRow[],
      };
    });
  }

  /** In one transaction. */
  save(mailboxId: string, uidValidity: number, { folder, messages, expunged }: Changes): void {
    this.#try((statements) => {
      const { database, putFolder, putMessage, removeMessage, putExpunged, trimExpunged } = statements;
      database.exec('BEGIN');
      try {
        const { highestModseq, firstRecentUid, historyFrom, cleanInBoot } = folder;
        const values = [uidValidity, highestModseq, firstRecentUid, historyFrom, cleanInBoot];
        const { id } = putFolder.get(mailboxId, ...values) as { id: number };
        for (const row of messages) putMessage.run(id, ...row);
        for (const { uid, modseq } of expunged) {
          removeMessage.run(id, uid);
          putExpunged.run(id, modseq, uid);
        }
        if (expunged.length > 0) trimExpunged.run({ folder: id, kept: expungedKeptMax });
        database.exec('COMMIT');
      } catch (error) {
        if (database.isTransaction) database.exec('ROLLBACK');
        throw error;
      }
    });
  }

  /** UIDs expunged after that modseq; undefined where that is not remembered. */
  expungedSince(mailboxId: string, modseq: number): number[] | undefined {
    return this.#try(({ selectFolder, selectExpunged, firstExpunged }) => {
      const row = selectFolder.get(mailboxId) as Record<string, number> | undefined;
      if (!row || row.history_from! > modseq) return undefined;
      const { kept, first } = firstExpunged.get(row.id!) as { kept: number; first: number | null };
      // The oldest were let go.
      if (kept >= expungedKeptMax && first !== null && first > modseq) return undefined;
      return selectExpunged.all(row.id!, modseq).map((each) => (each as { uid: number }).uid);
    });
  }

  forget(mailboxId: string): void {
    this.#try(({ selectFolder, database }) => {
      const row = selectFolder.get(mailboxId) as Record<string, number> | undefined;
      if (row) removeFolder(database, row.id!);
    });
  }

  close(): void {
    this.#statements?.database.close();
    this.#statements = undefined;
  }

  /** Nothing that is asked of a cache may fail for it: a file that cannot be used is removed and begun anew, once. */
  #try<T>(work: (statements: Statements) => T): T | undefined {
    for (let attempt = 0; attempt < 2; attempt += 1) {
      try {
        this.#statements ??= prepare(openDatabase({ path: this.#path, steps, synchronous: 'normal' }));
        return work(this.#statements);
      } catch (error) {
        this.#log.warn('mailbox-index-lost', { file: this.#path, error: describeError(error) });
        this.#discard();
      }
    }
    return undefined;
  }

  #discard(): void {
    this.generation += 1;
    try {
      this.close();
    } finally {
      this.#statements = undefined;
      for (const suffix of ['', '-wal', '-shm']) rmSync(this.#path + suffix, { force: true });
    }
  }
}

interface Statements {
  readonly database: DatabaseSync;
  readonly selectFolder: StatementSync;
  readonly selectMessages: StatementSync;
  readonly putFolder: StatementSync;
  readonly putMessage: StatementSync;
  readonly removeMessage: StatementSync;
  readonly putExpunged: StatementSync;
  readonly trimExpunged: StatementSync;
  readonly selectExpunged: StatementSync;
  readonly firstExpunged: StatementSync;
}

function prepare(database: DatabaseSync): Statements {
  // One user's folders: what SQLite keeps in memory is for whole installations.
  database.exec('PRAGMA cache_size = -512');
  const selectMessages = database.prepare(
    'SELECT uid, flags, modseq, size, internal_date, save_date FROM message WHERE folder = ? ORDER BY uid',
  );
  selectMessages.setReturnArrays(true);
  return {
    database,
    selectMessages,
    selectFolder: database.prepare('SELECT * FROM folder WHERE mailbox_id = ?'),
    putFolder: database.prepare(
      `INSERT INTO folder (mailbox_id, uid_validity, highest_modseq, first_recent_uid, history_from, clean_in_boot)
       VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (mailbox_id) DO UPDATE SET uid_validity = excluded.uid_validity,
         highest_modseq = max(highest_modseq, excluded.highest_modseq), first_recent_uid = excluded.first_recent_uid,
         history_from = excluded.history_from, clean_in_boot = excluded.clean_in_boot
       RETURNING id`,
    ),
    // Another process may serve the folder too: the later modseq is right for both.
    putMessage: database.prepare(
      `INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (folder, uid) DO UPDATE SET flags = excluded.flags, modseq = max(modseq, excluded.modseq),
         size = excluded.size, internal_date = excluded.internal_date, save_date = excluded.save_date`,
    ),
    removeMessage: database.prepare('DELETE FROM message WHERE folder = ? AND uid = ?'),
    putExpunged: database.prepare('INSERT OR IGNORE INTO expunged VALUES (?, ?, ?)'),
    trimExpunged: database.prepare(
      `DELETE FROM expunged WHERE folder = :folder AND (modseq, uid) <=
         (SELECT modseq, uid FROM expunged WHERE folder = :folder ORDER BY modseq DESC, uid DESC LIMIT 1 OFFSET :kept)`,
    ),
    selectExpunged: database.prepare('SELECT uid FROM expunged WHERE folder = ? AND modseq > ? ORDER BY uid'),
    firstExpunged: database.prepare(
      'SELECT count(*) AS kept, min(modseq) AS first FROM expunged WHERE folder = ?',
    ),
  };
}

function removeFolder(database: DatabaseSync, id: number): void {
  for (const table of ['message', 'expunged'])
    database.prepare(`DELETE FROM ${table} WHERE folder = ?`).run(id);
  database.prepare('DELETE FROM folder WHERE id = ?').run(id);
}
