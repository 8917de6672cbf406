/**
 * Facts and texts of a user's messages in one SQLite file, some dozens of messages in a row: a search reads a mailbox in
 * hundreds of large pieces, and scanning a million octets takes less than a millisecond. A cache: what is missing is made
 * from the messages, and a file that is lost or damaged is begun anew.
 */
import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { tryLock } from 'fs-native-extensions';
import { describeError } from '../../../core/base/errors.ts';
import { indexLimits } from '../../../core/base/limits/mailbox.ts';
import { KiB } from '../../../core/base/limits/units.ts';
import type { Log } from '../../../core/base/log.ts';
import { openDatabase } from '../../../core/state/sqlite-file.ts';
import type { FactField } from '../mailbox.ts';
import type { FactSource } from '../search/match.ts';
import type { Facts, SortFacts } from './read-facts.ts';

const steps = [
  `CREATE TABLE pack (
     id INTEGER PRIMARY KEY,
     folder TEXT NOT NULL,
     keys BLOB NOT NULL,
     envelope TEXT NOT NULL,
     body TEXT NOT NULL,
     body_structure TEXT NOT NULL,
     preview TEXT NOT NULL,
     email_id TEXT NOT NULL,
     thread_id TEXT NOT NULL,
     sort TEXT NOT NULL,
     header_ends BLOB NOT NULL,
     header BLOB NOT NULL,
     text_ends BLOB NOT NULL,
     text BLOB NOT NULL
   ) STRICT;
   CREATE INDEX pack_folder ON pack (folder)`,
  // What ENVELOPE, BODYSTRUCTURE and SORT tell of groups, continued parameters and empty multiparts is another.
  'DELETE FROM pack',
];

export interface FactRecord {
  readonly key: number;
  readonly facts: Facts;
}

/** Facts of one message, only the fields that were asked for. */
export type FactRow = Partial<Record<FactField, string>>;

const fieldColumns: Readonly<Record<FactField, string>> = {
  envelope: 'envelope',
  body: 'body',
  bodyStructure: 'body_structure',
  preview: 'preview',
  emailId: 'email_id',
  threadId: 'thread_id',
};
const fieldNames = Object.keys(fieldColumns) as FactField[];
/** Columns that hold one JSON array, and those that hold octets with their ends. */
const listColumns = [...Object.values(fieldColumns), 'sort'];
const columns = ['folder', 'keys', ...listColumns, 'header_ends', 'header', 'text_ends', 'text'];

/** Where the facts of a message stand. */
interface Place {
  readonly pack: number;
  readonly at: number;
}

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

  /** Of these keys those without facts. */
  missing(keys: Float64Array): number[] {
    const found = this.#try(({ places }) => [...keys].filter((key) => !places.has(key)));
    return found ?? [...keys];
  }

  /** @param folder id of the folder in which they were found */
  add(folder: string, records: readonly FactRecord[]): void {
    if (records.length === 0) return;
    this.#try((open) => {
      const last = lastPack(open, folder);
      const kept = last?.octets && last.octets < indexLimits.packBytes ? last : undefined;
      const fits = kept !== undefined && kept.count + records.length <= indexLimits.messagesPerPack;
      if (fits) extendPack(open, kept.id, records);
      else insertPack(open, folder, packOf(records));
    });
  }

  /** One for each key, undefined where there is none. */
  facts(keys: readonly number[], fields: readonly FactField[]): (FactRow | undefined)[] {
    const rows = this.#try((open) =>
      keys.map((key) => {
        const place = open.places.get(key);
        if (!place) return undefined;
        const row: FactRow = {};
        for (const field of fields)
          row[field] = listOf<string>(open, place.pack, fieldColumns[field])[place.at];
        return row;
      }),
    );
    return rows ?? keys.map(() => undefined);
  }

  sort(key: number): SortFacts | undefined {
    return this.#try((open) => {
      const place = open.places.get(key);
      return place && sortsOf(open, place.pack)[place.at];
    });
  }

  ids(key: number): readonly [emailId: string, threadId: string] | undefined {
    return this.#try((open) => {
      const place = open.places.get(key);
      if (!place) return undefined;
      const id = (column: string) => listOf<string>(open, place.pack, column)[place.at]!;
      return [id('email_id'), id('thread_id')];
    });
  }

  header(key: number): Buffer | undefined {
    return this.#octets(key, 'header');
  }

  text(key: number): Buffer | undefined {
    return this.#octets(key, 'text');
  }

  #octets(key: number, column: 'header' | 'text'): Buffer | undefined {
    return this.#try((open) => {
      const place = open.places.get(key);
      if (!place) return undefined;
      const { octets, ends } = octetsOf(open, place.pack, column);
      return octets.subarray(place.at === 0 ? 0 : ends[place.at - 1]!, ends[place.at]!);
    });
  }

  /** Removes packs of which nothing is in that folder any more. */
  sweep(folder: string, keys: Float64Array): void {
    this.#try((open) => {
      const there = new Set(keys);
      for (const [id, octets] of open.inFolder.all(folder) as unknown as [number, Uint8Array][]) {
        const packed = numbersOf(octets);
        // A message that moved is kept under the folder where it was found, as long as its pack is.
        if (packed.some((key) => there.has(key) && open.places.get(key)?.pack === id)) continue;
        open.remove.run(id);
        open.sorts.delete(id);
        for (const key of packed) if (open.places.get(key)?.pack === id) open.places.delete(key);
      }
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

interface Open {
  readonly database: DatabaseSync;
  readonly places: Map<number, Place>;
  /** What was read of packs last, by column: messages in a row lie in one. */
  readonly lists: Map<string, { readonly pack: number; readonly values: readonly unknown[] }>;
  readonly blobs: Map<string, { readonly pack: number; readonly octets: Buffer; readonly ends: Uint32Array }>;
  readonly sorts: Map<number, readonly SortFacts[]>;
  readonly last: StatementSync;
  readonly inFolder: StatementSync;
  readonly whole: StatementSync;
  readonly insert: StatementSync;
  readonly remove: StatementSync;
  readonly column: ReadonlyMap<string, StatementSync>;
}

function openStore(path: string): Open {
  const database = openDatabase({ path, steps, synchronous: 'normal', pageBytes });
  const rows = (sql: string) => {
    const statement = database.prepare(sql);
    statement.setReturnArrays(true);
    return statement;
  };
  const places = new Map<number, Place>();
  for (const row of rows('SELECT id, keys FROM pack ORDER BY id').iterate()) {
    const [pack, keys] = row as unknown as [number, Uint8Array];
    for (const [at, key] of numbersOf(keys).entries()) places.set(key, { pack, at });
  }
  const read = (column: string) => [column, rows(`SELECT ${column} FROM pack WHERE id = ?`)] as const;
  return {
    database,
    places,
    lists: new Map(),
    blobs: new Map(),
    sorts: new Map(),
    last: rows(
      'SELECT id, length(keys) / 8, length(text) + length(header) FROM pack WHERE folder = ? ORDER BY id DESC LIMIT 1',
    ),
    inFolder: rows('SELECT id, keys FROM pack WHERE folder = ?'),
    whole: database.prepare('SELECT * FROM pack WHERE id = ?'),
    insert: database.prepare(
      `INSERT INTO pack (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
    ),
    remove: database.prepare('DELETE FROM pack WHERE id = ?'),
    column: new Map([
      ...listColumns.map(read),
      ...(['header', 'text'] as const).map(
        (name) => [name, rows(`SELECT ${name}, ${name}_ends FROM pack WHERE id = ?`)] as const,
      ),
    ]),
  };
}

/** A row of the table, without its id and folder. */
interface Pack {
  readonly keys: Float64Array;
  readonly lists: Readonly<Record<string, readonly unknown[]>>;
  readonly headers: readonly Uint8Array[];
  readonly texts: readonly Uint8Array[];
}

function packOf(records: readonly FactRecord[]): Pack {
  const lists: Record<string, unknown[]> = { sort: records.map(({ facts }) => facts.sort) };
  for (const field of fieldNames) lists[fieldColumns[field]] = records.map(({ facts }) => facts[field]);
  return {
    keys: Float64Array.from(records, ({ key }) => key),
    lists,
    headers: records.map(({ facts }) => facts.header),
    texts: records.map(({ facts }) => facts.text),
  };
}

function insertPack(open: Open, folder: string, { keys, lists, headers, texts }: Pack): void {
  const { lastInsertRowid } = open.insert.run(
    folder,
    octetsIn(keys),
    ...listColumns.map((column) => JSON.stringify(lists[column])),
    octetsIn(endsOf(headers)),
    Buffer.concat(headers),
    octetsIn(endsOf(texts)),
    Buffer.concat(texts),
  );
  const pack = Number(lastInsertRowid);
  // SQLite gives the number of a row that was removed again.
  open.lists.clear();
  open.blobs.clear();
  open.sorts.delete(pack);
  for (const [at, key] of keys.entries()) open.places.set(key, { pack, at });
}

/** The same pack with more messages, as another row: mail that comes one by one must not lie one by one. */
function extendPack(open: Open, id: number, records: readonly FactRecord[]): void {
  const row = open.whole.get(id) as Record<string, string & Uint8Array>;
  const more = packOf(records);
  const parts = (column: 'header' | 'text') => {
    const ends = integersOf(row[`${column}_ends`]!);
    return Array.from(ends, (end, at) => row[column]!.subarray(at === 0 ? 0 : ends[at - 1]!, end));
  };
  open.database.exec('BEGIN');
  try {
    open.remove.run(id);
    insertPack(open, String(row.folder), {
      keys: Float64Array.from([...numbersOf(row.keys!), ...more.keys]),
      lists: Object.fromEntries(
        listColumns.map((column) => [
          column,
          [...(JSON.parse(row[column]!) as unknown[]), ...more.lists[column]!],
        ]),
      ),
      headers: [...parts('header'), ...more.headers],
      texts: [...parts('text'), ...more.texts],
    });
    open.database.exec('COMMIT');
  } catch (error) {
    if (open.database.isTransaction) open.database.exec('ROLLBACK');
    throw error;
  }
}

function lastPack(open: Open, folder: string): { id: number; count: number; octets: number } | undefined {
  const row = open.last.get(folder) as unknown as [number, number, number] | undefined;
  return row && { id: row[0], count: row[1], octets: row[2] };
}

function listOf<T>(open: Open, pack: number, column: string): readonly T[] {
  const known = open.lists.get(column);
  if (known?.pack === pack) return known.values as readonly T[];
  const [text] = open.column.get(column)!.get(pack) as unknown as [string];
  const values = JSON.parse(text) as T[];
  open.lists.set(column, { pack, values });
  return values;
}

/** Of many packs: a list that is sorted is sorted again. */
function sortsOf({ sorts, column }: Open, pack: number): readonly SortFacts[] {
  const known = sorts.get(pack);
  if (known) return known;
  const [text] = column.get('sort')!.get(pack) as unknown as [string];
  const values = JSON.parse(text) as SortFacts[];
  if (sorts.size >= indexLimits.sortPacksKept) sorts.delete(sorts.keys().next().value!);
  sorts.set(pack, values);
  return values;
}

function octetsOf(open: Open, pack: number, column: 'header' | 'text') {
  const known = open.blobs.get(column);
  if (known?.pack === pack) return known;
  const [octets, ends] = open.column.get(column)!.get(pack) as unknown as [Uint8Array, Uint8Array];
  const view = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
  const read = { pack, octets: view, ends: integersOf(ends) };
  open.blobs.set(column, read);
  return read;
}

function endsOf(parts: readonly Uint8Array[]): Uint32Array {
  let end = 0;
  return Uint32Array.from(parts, (part) => {
    end += part.length;
    return end;
  });
}

function octetsIn(values: Float64Array | Uint32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Copied: octets of a row need not lie at a multiple of 8. */
function numbersOf(octets: Uint8Array): Float64Array {
  return new Float64Array(octets.slice().buffer);
}

function integersOf(octets: Uint8Array): Uint32Array {
  return new Uint32Array(octets.slice().buffer);
}
