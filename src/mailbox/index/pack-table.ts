/**
 * A table of an SQLite file that holds what is known of messages, some dozens of them in a row: all messages of a
 * mailbox are read in hundreds of large pieces. Values are texts and numbers by name, and one run of octets for each.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { indexLimits } from '../../../core/base/limits/mailbox.ts';

export interface PackShape {
  readonly table: string;
  /** Names of values; a column each, that holds one JSON array. */
  readonly values: readonly string[];
  /** Those whose arrays stay in memory for many rows: what is sorted is sorted again. */
  readonly kept?: readonly string[];
}

export interface Packed {
  readonly key: number;
  readonly values: Readonly<Record<string, unknown>>;
  readonly octets: Uint8Array;
}

/** SQL that makes the table. */
export function packTableSql({ table, values }: PackShape): string {
  const columns = values.map((name) => `${name} TEXT NOT NULL,`).join(' ');
  return `CREATE TABLE ${table} (
     id INTEGER PRIMARY KEY, folder TEXT NOT NULL, keys BLOB NOT NULL, ${columns} ends BLOB NOT NULL, octets BLOB NOT NULL
   ) STRICT;
   CREATE INDEX ${table}_folder ON ${table} (folder);`;
}

/** Where a message stands. */
interface Place {
  readonly pack: number;
  readonly at: number;
}

interface Row {
  readonly keys: Float64Array;
  readonly values: Readonly<Record<string, readonly unknown[]>>;
  readonly octets: readonly Uint8Array[];
}

export class PackTable {
  readonly #shape: PackShape;
  readonly #database: DatabaseSync;
  readonly #places = new Map<number, Place>();
  /** Arrays by column and row; messages behind one another lie in one. */
  readonly #arrays: ReadonlyMap<string, Map<number, readonly unknown[]>>;
  #octets: { readonly pack: number; readonly octets: Buffer; readonly ends: Uint32Array } | undefined;
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: DatabaseSync, shape: PackShape) {
    this.#database = database;
    this.#shape = shape;
    this.#statements = prepare(database, shape);
    this.#arrays = new Map(shape.values.map((name) => [name, new Map()]));
    for (const row of this.#statements.places.iterate()) {
      const [pack, keys] = row as unknown as [number, Uint8Array];
      this.#remember(pack, numbersOf(keys));
    }
  }

  has(key: number): boolean {
    return this.#places.has(key);
  }

  /** @param folder id of the folder in which the messages were found */
  add(folder: string, records: readonly Packed[]): void {
    if (records.length === 0) return;
    const { messagesPerPack, packBytes } = indexLimits;
    this.#database.exec('BEGIN');
    try {
      const last = this.#last(folder);
      if (last && last.octets < packBytes && last.count + records.length <= messagesPerPack)
        this.#extend(last.id, records);
      else {
        for (let at = 0; at < records.length; at += messagesPerPack)
          this.#insert(folder, rowOf(this.#shape, records.slice(at, at + messagesPerPack)));
      }
      this.#database.exec('COMMIT');
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  /** Undefined when there is none. */
  value(key: number, name: string): unknown {
    const place = this.#places.get(key);
    return place && this.#array(place.pack, name)[place.at];
  }

  octets(key: number): Buffer | undefined {
    const place = this.#places.get(key);
    if (!place) return undefined;
    const { octets, ends } = this.#read(place.pack);
    return octets.subarray(place.at === 0 ? 0 : ends[place.at - 1]!, ends[place.at]!);
  }

  /** Removes rows of which nothing is in that folder any more. */
  sweep(folder: string, there: ReadonlySet<number>): void {
    for (const row of this.#statements.inFolder.all(folder)) {
      const [id, octets] = row as unknown as [number, Uint8Array];
      const keys = numbersOf(octets);
      // A message that moved is kept under the folder where it was found, as long as its row is.
      if (keys.some((key) => there.has(key) && this.#places.get(key)?.pack === id)) continue;
      this.#statements.remove.run(id);
      this.#forget(id);
      for (const key of keys) if (this.#places.get(key)?.pack === id) this.#places.delete(key);
    }
  }

  #last(folder: string): { id: number; count: number; octets: number } | undefined {
    const row = this.#statements.last.get(folder) as unknown as [number, number, number] | undefined;
    return row && { id: row[0], count: row[1], octets: row[2] };
  }

  #insert(folder: string, { keys, values, octets }: Row): void {
    const { lastInsertRowid } = this.#statements.insert.run(
      folder,
      octetsIn(keys),
      ...this.#shape.values.map((name) => JSON.stringify(values[name])),
      octetsIn(endsOf(octets)),
      Buffer.concat(octets),
    );
    const pack = Number(lastInsertRowid);
    // SQLite gives the number of a row that was removed again.
    this.#forget(pack);
    this.#remember(pack, keys);
    // Who had it read asks for it now.
    for (const name of this.#shape.values) this.#keep(pack, name, values[name]!);
  }

  /** The same row with more messages, as another one: mail that comes one by one must not lie one by one. */
  #extend(id: number, records: readonly Packed[]): void {
    const row = this.#statements.whole.get(id) as Record<string, string & Uint8Array>;
    const more = rowOf(this.#shape, records);
    const ends = integersOf(row.ends!);
    const octets = Array.from(ends, (end, at) => row.octets!.subarray(at === 0 ? 0 : ends[at - 1]!, end));
    const joined = (name: string) => [...(JSON.parse(row[name]!) as unknown[]), ...more.values[name]!];
    this.#statements.remove.run(id);
    this.#insert(String(row.folder), {
      keys: Float64Array.from([...numbersOf(row.keys!), ...more.keys]),
      values: Object.fromEntries(this.#shape.values.map((name) => [name, joined(name)])),
      octets: [...octets, ...more.octets],
    });
  }

  #remember(pack: number, keys: Float64Array): void {
    for (const [at, key] of keys.entries()) this.#places.set(key, { pack, at });
  }

  #forget(pack: number): void {
    for (const arrays of this.#arrays.values()) arrays.delete(pack);
    if (this.#octets?.pack === pack) this.#octets = undefined;
  }

  #array(pack: number, name: string): readonly unknown[] {
    const known = this.#arrays.get(name)!.get(pack);
    if (known) return known;
    const [text] = this.#statements.values.get(name)!.get(pack) as unknown as [string];
    const array = JSON.parse(text) as unknown[];
    this.#keep(pack, name, array);
    return array;
  }

  #keep(pack: number, name: string, array: readonly unknown[]): void {
    const arrays = this.#arrays.get(name)!;
    const max = this.#shape.kept?.includes(name) ? indexLimits.sortPacksKept : indexLimits.packsKept;
    if (arrays.size >= max) arrays.delete(arrays.keys().next().value!);
    arrays.set(pack, array);
  }

  #read(pack: number) {
    if (this.#octets?.pack === pack) return this.#octets;
    const row = this.#statements.octets.get(pack) as unknown as [Uint8Array, Uint8Array];
    const { buffer, byteOffset, byteLength } = row[0];
    this.#octets = { pack, octets: Buffer.from(buffer, byteOffset, byteLength), ends: integersOf(row[1]) };
    return this.#octets;
  }
}

function prepare(database: DatabaseSync, { table, values }: PackShape) {
  const rows = (sql: string): StatementSync => {
    const statement = database.prepare(sql);
    statement.setReturnArrays(true);
    return statement;
  };
  const columns = ['folder', 'keys', ...values, 'ends', 'octets'];
  const marks = columns.map(() => '?').join(', ');
  return {
    places: rows(`SELECT id, keys FROM ${table} ORDER BY id`),
    last: rows(
      `SELECT id, length(keys) / 8, length(octets) FROM ${table} WHERE folder = ? ORDER BY id DESC LIMIT 1`,
    ),
    inFolder: rows(`SELECT id, keys FROM ${table} WHERE folder = ?`),
    octets: rows(`SELECT octets, ends FROM ${table} WHERE id = ?`),
    values: new Map(values.map((name) => [name, rows(`SELECT ${name} FROM ${table} WHERE id = ?`)])),
    whole: database.prepare(`SELECT * FROM ${table} WHERE id = ?`),
    insert: database.prepare(`INSERT INTO ${table} (${columns.join(', ')}) VALUES (${marks})`),
    remove: database.prepare(`DELETE FROM ${table} WHERE id = ?`),
  };
}

function rowOf({ values }: PackShape, records: readonly Packed[]): Row {
  return {
    keys: Float64Array.from(records, ({ key }) => key),
    values: Object.fromEntries(values.map((name) => [name, records.map((record) => record.values[name])])),
    octets: records.map(({ octets }) => octets),
  };
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
