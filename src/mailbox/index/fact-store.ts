/**
 * Facts of a user's messages in one SQLite file: what headers tell, structures, and texts apart, so that whoever wants a
 * list need not wait for the texts. A cache: what is missing is made from the messages, and
 * a file that is lost or damaged is begun anew.
 */
import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { tryLock } from 'fs-native-extensions';
import { describeError } from '../../../core/base/errors.ts';
import { KiB } from '../../../core/base/limits/units.ts';
import type { Log } from '../../../core/base/log.ts';
import { openDatabase } from '../../../core/state/sqlite-file.ts';
import type { FactField } from '../mailbox.ts';
import type { FactSource } from '../search/match.ts';
import { type FactKind, factKinds, kindOfField, kindsOf } from './fact-kind.ts';
import { type Packed, type PackShape, PackTable, packTableSql } from './pack-table.ts';
import type { SortFacts } from './read-facts.ts';

const shapes: Readonly<Record<FactKind, PackShape>> = {
  head: { table: 'head', values: ['envelope', 'sort'], kept: ['sort'] },
  structure: { table: 'structure', values: ['body', 'bodyStructure', 'size'] },
  text: { table: 'body_text', values: ['preview', 'emailId', 'threadId'] },
};

const steps = [
  // Everything in one table, as the versions before kept it; nothing of it is used any more.
  'CREATE TABLE pack (id INTEGER PRIMARY KEY) STRICT',
  'DELETE FROM pack',
  `DROP TABLE pack; ${Object.values(shapes).map(packTableSql).join(' ')}`,
  // Message ids are kept as what they mean.
  'DELETE FROM head',
];

/** Facts of one message, only the fields that were asked for. */
export type FactRow = Partial<Record<FactField, string>>;

export class FactStore implements FactSource {
  /** Files of other processes have a number: each process keeps its own, for it remembers what lies where. */
  readonly #wantedPath: string;
  #path: string;
  #lock: number | undefined;
  readonly #log: Log;
  #open: Open | undefined;
  /** Grows when everything that was kept is lost: an answer that was begun before is not whole. */
  generation = 0;

  constructor(path: string, log: Log) {
    this.#wantedPath = path;
    this.#path = path;
    this.#log = log;
  }

  has(key: number, kind: FactKind): boolean {
    return this.#try((open) => open[kind].has(key)) ?? false;
  }

  /** Of these keys those without facts. */
  missing(keys: Float64Array, kind: FactKind): number[] {
    return this.#try((open) => [...keys].filter((key) => !open[kind].has(key))) ?? [...keys];
  }

  /** @param folder id of the folder in which they were found */
  add(folder: string, kind: FactKind, records: readonly Packed[]): void {
    this.#try((open) => open[kind].add(folder, records));
  }

  /** One for each key, undefined where something of it is missing. */
  facts(keys: readonly number[], fields: readonly FactField[]): (FactRow | undefined)[] {
    const kinds = kindsOf(fields);
    const rows = this.#try((open) =>
      keys.map((key) => {
        if (!kinds.every((kind) => open[kind].has(key))) return undefined;
        const row: FactRow = {};
        for (const field of fields) row[field] = open[kindOfField[field]].value(key, field) as string;
        return row;
      }),
    );
    return rows ?? keys.map(() => undefined);
  }

  /** Octets with CRLF line ends; undefined where the structure is not known. */
  size(key: number): number | undefined {
    return this.#try(({ structure }) => structure.value(key, 'size') as number | undefined);
  }

  sort(key: number): SortFacts | undefined {
    return this.#try(({ head }) => head.value(key, 'sort') as SortFacts | undefined);
  }

  ids(key: number): readonly [emailId: string, threadId: string] | undefined {
    const [row] = this.facts([key], ['emailId', 'threadId']);
    return row && [row.emailId!, row.threadId!];
  }

  header(key: number): Buffer | undefined {
    return this.#try(({ head }) => head.octets(key));
  }

  text(key: number): Buffer | undefined {
    return this.#try(({ text }) => text.octets(key));
  }

  /** Removes what nothing in that folder needs any more. */
  sweep(folder: string, keys: Float64Array): void {
    const there = new Set(keys);
    this.#try((open) => {
      for (const kind of factKinds) open[kind].sweep(folder, there);
    });
  }

  close(): void {
    this.#closeDatabase();
    if (this.#lock !== undefined) closeSync(this.#lock);
    this.#lock = undefined;
  }

  #closeDatabase(): void {
    this.#open?.database.close();
    this.#open = undefined;
  }

  /** The first file that no other process has. */
  #claim(): void {
    if (this.#lock !== undefined) return;
    mkdirSync(dirname(this.#wantedPath), { recursive: true, mode: 0o700 });
    for (let number = 1; ; number += 1) {
      const path = number === 1 ? this.#wantedPath : this.#wantedPath.replace(/(\.\w+)$/, `-${number}$1`);
      const fd = openSync(`${path}.lock`, 'a', 0o600);
      if (tryLock(fd)) {
        this.#path = path;
        this.#lock = fd;
        return;
      }
      closeSync(fd);
    }
  }

  /** Nothing that is asked of a cache may fail for it: a file that cannot be used is removed and begun anew, once. */
  #try<T>(work: (open: Open) => T): T | undefined {
    for (let attempt = 0; attempt < 2; attempt += 1) {
      try {
        this.#claim();
        this.#open ??= openStore(this.#path);
        return work(this.#open);
      } catch (error) {
        this.#log.warn('mailbox-texts-lost', { file: this.#path, error: describeError(error) });
        this.#discard();
      }
    }
    return undefined;
  }

  #discard(): void {
    this.generation += 1;
    try {
      this.#closeDatabase();
    } finally {
      this.#open = undefined;
      for (const suffix of ['', '-wal', '-shm']) rmSync(this.#path + suffix, { force: true });
    }
  }
}

/** SQLite's largest: packs are read and written in half the time. */
const pageBytes = 64 * KiB;

interface Open extends Readonly<Record<FactKind, PackTable>> {
  readonly database: DatabaseSync;
}

function openStore(path: string): Open {
  const database = openDatabase({ path, steps, synchronous: 'normal', pageBytes });
  return {
    database,
    head: new PackTable(database, shapes.head),
    structure: new PackTable(database, shapes.structure),
    text: new PackTable(database, shapes.text),
  };
}
