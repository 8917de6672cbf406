/** State in one SQLite file. Writes of one turn of the event loop share a transaction; a power loss may undo the last few. */
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../base/clock.ts';
import { stateBytesMax, stateSweepRows } from '../base/limits/state.ts';
import { CommitGroup } from './commit-group.ts';
import { addTo, checkKey, checkKeys, checkLimit, encodeValue, expiryOf, prefixEnd } from './entry.ts';
import { openDatabase, openOrReplaceDatabase } from './sqlite-file.ts';
import type { StateInit, StateKeys, StateStore } from './store.ts';
import { startSweeper } from './sweeper.ts';

/** Steps of state.db. `expires` is epoch milliseconds, NULL for never; `value` is JSON text. */
const steps = [
  `CREATE TABLE entries (
     plugin TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, expires INTEGER,
     PRIMARY KEY (plugin, key)) WITHOUT ROWID;
   CREATE INDEX entries_expires ON entries (expires) WHERE expires IS NOT NULL`,
];

type Statements = ReturnType<typeof prepareStatements>;

export function openSqliteState(init: Pick<StateInit, 'directory' | 'clock' | 'log'>): StateStore {
  const path = join(init.directory, 'state.db');
  const database = openOrReplaceDatabase(
    { path, steps, synchronous: 'normal', bytesMax: stateBytesMax },
    init.log,
  );
  const group = new CommitGroup(database);
  const statements = prepareStatements(database);
  const sweep = () => group.run(() => Number(statements.sweep.run(init.clock.now(), stateSweepRows).changes));
  const sweeper = startSweeper(sweep, init.log);
  return {
    forPlugin: (name) => pluginState(name, group, statements, init.clock),
    sweep,
    async close() {
      sweeper.stop();
      await group.drain();
      database.close();
    },
  };
}

/**
 * What a plugin keeps, for reading beside a running server. Throws OperationalError as openDatabase does.
 * @param directory absolute; holds `state.db`
 */
export function readSqliteState(
  directory: string,
  plugin: string,
  clock: Clock,
): Pick<StateKeys, 'get' | 'list'> & { close(): void } {
  const path = join(directory, 'state.db');
  const database = openDatabase({ path, steps, synchronous: 'normal', readOnly: true });
  const { get, list } = pluginState(plugin, new CommitGroup(database), prepareStatements(database), clock);
  return { get, list, close: () => database.close() };
}

function prepareStatements(database: DatabaseSync) {
  const alive = '(expires IS NULL OR expires > ?)';
  const rows = database.prepare(
    `SELECT key FROM entries WHERE plugin = ? AND key >= ? AND key < ? AND ${alive} ORDER BY key LIMIT ?`,
  );
  const rest = database.prepare(
    `SELECT key FROM entries WHERE plugin = ? AND key >= ? AND ${alive} ORDER BY key LIMIT ?`,
  );
  // The keys as one parameter: a classifier asks for a thousand, and a statement each takes more than twice the time.
  const many = database.prepare(
    `SELECT asked.key AS at, entries.value AS value FROM json_each(?) AS asked
       CROSS JOIN entries ON plugin = ? AND entries.key = asked.value AND ${alive}`,
  );
  return {
    get: database.prepare(`SELECT value, expires FROM entries WHERE plugin = ? AND key = ? AND ${alive}`),
    set: database.prepare(
      `INSERT INTO entries (plugin, key, value, expires) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET value = excluded.value, expires = excluded.expires`,
    ),
    remove: database.prepare('DELETE FROM entries WHERE plugin = ? AND key = ?'),
    sweep: database.prepare(
      `DELETE FROM entries WHERE (plugin, key) IN
         (SELECT plugin, key FROM entries WHERE expires <= ? ORDER BY expires LIMIT ?)`,
    ),
    /** By the place in `keys`; those that are not there are left out. */
    getMany(plugin: string, keys: readonly string[], now: number): [at: number, value: string][] {
      const found = many.all(JSON.stringify(keys), plugin, now);
      return found.map(({ at, value }) => [at as number, value as string]);
    },
    list(plugin: string, prefix: string, now: number, limit: number): string[] {
      const end = prefixEnd(prefix);
      const found =
        end === undefined ? rest.all(plugin, prefix, now, limit) : rows.all(plugin, prefix, end, now, limit);
      return found.map((row) => row.key as string);
    },
  };
}

function pluginState(plugin: string, group: CommitGroup, statements: Statements, clock: Clock): StateKeys {
  const find = (key: string) =>
    statements.get.get(plugin, checkKey(key), clock.now()) as
      | { value: string; expires: number | null }
      | undefined;
  const put = (key: string, text: string, expires: number | null) =>
    void statements.set.run(plugin, checkKey(key), text, expires);
  /** A read waits for an open group, so that answers keep the order of the calls and nothing undone is ever seen. */
  const read = <Answer>(work: () => Answer): Promise<Answer> =>
    group.open ? group.run(work) : new Promise((resolve) => resolve(work()));
  return {
    get: (key) =>
      read(() => {
        const entry = find(key);
        return entry === undefined ? undefined : JSON.parse(entry.value);
      }),
    set: (key, value, options) => group.run(() => put(key, encodeValue(value), expiryOf(clock, options))),
    delete: (key) => group.run(() => void statements.remove.run(plugin, checkKey(key))),
    increment: (key, by = 1, options) =>
      group.run(() => {
        const entry = find(key);
        const value = addTo(entry?.value, by);
        put(key, encodeValue(value), entry === undefined ? expiryOf(clock, options) : entry.expires);
        return value;
      }),
    setIfAbsent: (key, value, options) =>
      group.run(() => {
        if (find(key) !== undefined) return false;
        put(key, encodeValue(value), expiryOf(clock, options));
        return true;
      }),
    list: (prefix, limit) =>
      read(() => statements.list(plugin, checkKey(prefix), clock.now(), checkLimit(limit))),
    getAll: (keys) =>
      read(() => {
        const asked = checkKeys(keys);
        const found = statements.getMany(plugin, asked, clock.now());
        return Object.fromEntries(found.map(([at, text]) => [asked[at]!, JSON.parse(text)]));
      }),
    incrementAll: (keys, by, options) =>
      group.run(() => {
        const expires = expiryOf(clock, options);
        const asked = checkKeys(keys);
        // All are read before any is written: a key that holds no counter leaves the others as they were.
        const before = new Map(statements.getMany(plugin, asked, clock.now()));
        const values = asked.map((key, at) => [key, addTo(before.get(at), by)] as const);
        for (const [key, value] of values) put(key, encodeValue(value), expires);
      }),
  };
}
