/**
 * Facts and texts of a user's messages in one SQLite file, by key. A cache: rows are made from the messages whenever they
 * are missing, and the file is begun anew when it is lost or damaged. Texts are searched by scanning: a million octets
 * take less than a millisecond, and nothing has to be kept in order but the texts themselves.
 */
import { rmSync } from 'node:fs';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { describeError } from '../../../core/base/errors.ts';
import type { Log } from '../../../core/base/log.ts';
import { openDatabase } from '../../../core/state/sqlite-file.ts';
import type { FactField } from '../mailbox.ts';
import type { Facts, SortFacts } from './read-facts.ts';

const steps = [
  `CREATE TABLE fact (
     key INTEGER PRIMARY KEY,
     folder TEXT NOT NULL,
     envelope TEXT NOT NULL,
     body TEXT NOT NULL,
     body_structure TEXT NOT NULL,
     preview TEXT NOT NULL,
     email_id TEXT NOT NULL,
     thread_id TEXT NOT NULL,
     sort TEXT NOT NULL
   ) STRICT;
   CREATE INDEX fact_folder ON fact (folder);
   CREATE TABLE header (key INTEGER PRIMARY KEY, octets BLOB NOT NULL) STRICT;
   CREATE TABLE text (key INTEGER PRIMARY KEY, octets BLOB NOT NULL) STRICT`,
];

export type FactRow = readonly [
  envelope: string,
  body: string,
  bodyStructure: string,
  preview: string,
  emailId: string,
  threadId: string,
];

const factColumns: readonly (readonly [FactField, string])[] = [
  ['envelope', 'envelope'],
  ['body', 'body'],
  ['bodyStructure', 'body_structure'],
  ['preview', 'preview'],
  ['emailId', 'email_id'],
  ['threadId', 'thread_id'],
];

export interface FactRecord {
  readonly key: number;
  readonly facts: Facts;
}

export class FactStore {
  readonly #path: string;
  readonly #log: Log;
  #statements: Statements | undefined;

  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
  }

  /** Of these keys those without facts. */
  missing(keys: Float64Array): number[] {
    const found = this.#try(({ has }) => [...keys].filter((key) => has.get(key) === undefined));
    return found ?? [...keys];
  }

  /** In one transaction. @param folder id of the folder in which they were found */
  add(folder: string, records: readonly FactRecord[]): void {
    this.#try(({ database, putFact, putHeader, putText }) =>
      inTransaction(database, () => {
        for (const { key, facts } of records) {
          const { envelope, body, bodyStructure, preview, emailId, threadId, sort, header, text } = facts;
          const texts = [envelope, body, bodyStructure, preview, emailId, threadId, JSON.stringify(sort)];
          putFact.run(key, folder, ...texts);
          putHeader.run(key, header);
          putText.run(key, text);
        }
      }),
    );
  }

  /** One for each key, undefined where there is none. Texts that were not asked for are ''. */
  facts(keys: readonly number[], fields: readonly FactField[]): (FactRow | undefined)[] {
    const rows = this.#try(({ database }) => {
      const columns = factColumns.map(([field, column]) => (fields.includes(field) ? column : "''"));
      const statement = database.prepare(`SELECT ${columns.join(', ')} FROM fact WHERE key = ?`);
      statement.setReturnArrays(true);
      return keys.map((key) => statement.get(key) as FactRow | undefined);
    });
    return rows ?? keys.map(() => undefined);
  }

  sort(key: number): SortFacts | undefined {
    const row = this.#try(({ sort }) => sort.get(key) as readonly [string] | undefined);
    return row && (JSON.parse(row[0]) as SortFacts);
  }

  ids(key: number): readonly [emailId: string, threadId: string] | undefined {
    return this.#try(({ ids }) => ids.get(key) as readonly [string, string] | undefined);
  }

  header(key: number): Buffer | undefined {
    return this.#try(({ header }) => bufferOf(header.get(key)));
  }

  text(key: number): Buffer | undefined {
    return this.#try(({ text }) => bufferOf(text.get(key)));
  }

  /** Removes what was found in that folder and is not in it any more. */
  sweep(folder: string, keys: Float64Array): void {
    this.#try(({ database, inFolder, remove }) => {
      const there = new Set(keys);
      const gone = (inFolder.all(folder) as unknown as [number][]).filter(([key]) => !there.has(key));
      if (gone.length === 0) return;
      inTransaction(database, () => {
        for (const [key] of gone) for (const statement of remove) statement.run(key);
      });
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
        this.#log.warn('mailbox-texts-lost', { file: this.#path, error: describeError(error) });
        this.#discard();
      }
    }
    return undefined;
  }

  #discard(): void {
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
  readonly has: StatementSync;
  readonly putFact: StatementSync;
  readonly putHeader: StatementSync;
  readonly putText: StatementSync;
  readonly sort: StatementSync;
  readonly ids: StatementSync;
  readonly header: StatementSync;
  readonly text: StatementSync;
  readonly inFolder: StatementSync;
  readonly remove: readonly StatementSync[];
}

function prepare(database: DatabaseSync): Statements {
  const rows = (sql: string) => {
    const statement = database.prepare(sql);
    statement.setReturnArrays(true);
    return statement;
  };
  return {
    database,
    has: rows('SELECT 1 FROM fact WHERE key = ?'),
    putFact: database.prepare('INSERT OR REPLACE INTO fact VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)'),
    putHeader: database.prepare('INSERT OR REPLACE INTO header VALUES (?, ?)'),
    putText: database.prepare('INSERT OR REPLACE INTO text VALUES (?, ?)'),
    sort: rows('SELECT sort FROM fact WHERE key = ?'),
    ids: rows('SELECT email_id, thread_id FROM fact WHERE key = ?'),
    header: rows('SELECT octets FROM header WHERE key = ?'),
    text: rows('SELECT octets FROM text WHERE key = ?'),
    inFolder: rows('SELECT key FROM fact WHERE folder = ?'),
    remove: ['fact', 'header', 'text'].map((table) => database.prepare(`DELETE FROM ${table} WHERE key = ?`)),
  };
}

function inTransaction(database: DatabaseSync, work: () => void): void {
  database.exec('BEGIN');
  try {
    work();
    database.exec('COMMIT');
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

function bufferOf(row: unknown): Buffer | undefined {
  const octets = (row as readonly [Uint8Array] | undefined)?.[0];
  return octets && Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
}
