/** Keeps the trace of each message for `mailfilter explain`: written in batches beside the mail, never waited for by it. */
import { join } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Clock } from '../base/clock.ts';
import { describeError } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import { traceLimits } from '../base/limits/flow.ts';
import type { Log } from '../base/log.ts';
import { isCorruption, openDatabase, openOrReplaceDatabase } from './sqlite-file.ts';

/** What the store must know of a record; the rest is the writer's and comes back as it was given, through JSON. */
export interface TraceHead {
  /** Transaction id. */
  readonly id: string;
  /** Epoch milliseconds. */
  readonly at: number;
  /** Message-ID field, with or without angle brackets; '' when the message has none. */
  readonly messageId: string;
}

/** What happened to the message after its record was written: a delivery, an attempt of the queue. */
export interface TracePart {
  /** Epoch milliseconds. */
  readonly at: number;
  /** One word: `stored`, `deferred`, `attempt` ... */
  readonly event: string;
  readonly [fact: string]: Json;
}

/** A record as found, with what was appended to it since, oldest first. */
export type StoredTrace<Trace extends TraceHead> = Trace & { readonly parts: readonly TracePart[] };

export interface TraceStore<Trace extends TraceHead> {
  /** Takes the record; it is on disk a moment later, or is lost and counted. Never throws. */
  write(record: Trace): void;
  /** Adds to the record of that id (a transaction id, or an action's `transaction/recipient/ordinal`), written before or after. */
  append(id: string, part: TracePart): void;
  /** The newest record for a transaction id, an action or queue id, or a Message-ID with or without `<>`. */
  find(id: string): StoredTrace<Trace> | undefined;
  /** All records that the id names, newest first, at most `limit`: one Message-ID may have come several times. */
  findAll(id: string, limit: number): StoredTrace<Trace>[];
  /** The newest records, newest first. */
  recent(limit: number): StoredTrace<Trace>[];
  /** All records from that time (epoch milliseconds) on, oldest first, one at a time and without their parts. */
  since(at: number): Iterable<Trace>;
  /** Removes what is past its retention, a bounded number; answers how many records. Runs by itself too. */
  prune(): number;
  /** Writes what still waits. */
  flush(): void;
  close(): void;
}

export interface TraceStoreInit {
  /** Absolute; holds `trace.db`. */
  readonly directory: string;
  readonly retentionDays: number;
  readonly retentionBytes: number;
  readonly clock: Clock;
  readonly log: Log;
  /** For looking while the server writes: nothing is made, upgraded or removed. */
  readonly readOnly?: boolean;
}

/**
 * Steps of trace.db. `record` and `part` are JSON text; `message_id` has no angle brackets. `parts` of a record, JSON text
 * of a list, came in the same batch with it: most have no others, and one row is half the work of two.
 */
const steps = [
  `CREATE TABLE traces (number INTEGER PRIMARY KEY, id TEXT NOT NULL, message_id TEXT NOT NULL,
     at INTEGER NOT NULL, record TEXT NOT NULL);
   CREATE INDEX traces_id ON traces (id);
   CREATE INDEX traces_message_id ON traces (message_id) WHERE message_id <> '';
   CREATE TABLE parts (number INTEGER PRIMARY KEY, id TEXT NOT NULL, at INTEGER NOT NULL, part TEXT NOT NULL);
   CREATE INDEX parts_id ON parts (id)`,
  'ALTER TABLE traces ADD COLUMN parts TEXT',
];

/** Opens the store. Throws OperationalError; a damaged file is moved aside, as state is, unless opened for reading. */
export function openTraceStore<Trace extends TraceHead>(init: TraceStoreInit): TraceStore<Trace> {
  return new SqliteTraceStore<Trace>(init);
}

/** Several records to a page: fewer pages to write than with SQLite's 4096. */
const pageBytes = 16_384;

type RecordRow = readonly [id: string, messageId: string, at: number, text: string];
type PartRow = readonly [at: number, text: string];

class SqliteTraceStore<Trace extends TraceHead> implements TraceStore<Trace> {
  readonly #init: TraceStoreInit;
  #database: DatabaseSync;
  #statements: Statements;
  #records: RecordRow[] = [];
  /** By transaction id. */
  #parts = new Map<string, PartRow[]>();
  #waiting = 0;
  #lost = 0;
  #flushTimer: NodeJS.Timeout | undefined;
  readonly #pruneTimer: NodeJS.Timeout | undefined;

  constructor(init: TraceStoreInit) {
    this.#init = init;
    this.#database = open(init);
    this.#statements = prepare(this.#database);
    if (!init.readOnly) {
      this.#pruneTimer = setInterval(() => this.#pruneQuietly(), traceLimits.pruneMs).unref();
    }
  }

  write(record: Trace): void {
    this.#records.push([record.id, bareMessageId(record.messageId), record.at, recordText(record)]);
    this.#wait();
  }

  append(id: string, part: TracePart): void {
    const text = JSON.stringify(part);
    if (text.length > traceLimits.partCharactersMax) {
      this.#lost++;
      return;
    }
    const transaction = transactionOf(id);
    const parts = this.#parts.get(transaction);
    if (parts) parts.push([part.at, text]);
    else this.#parts.set(transaction, [[part.at, text]]);
    this.#wait();
  }

  find(id: string): StoredTrace<Trace> | undefined {
    return this.findAll(id, 1)[0];
  }

  findAll(id: string, limit: number): StoredTrace<Trace>[] {
    this.flush();
    const { byId, byMessageId } = this.#statements;
    const count = Math.min(limit, traceLimits.foundMax);
    const transaction = transactionOf(id.trim());
    let rows = byId.all(transaction, count);
    if (rows.length === 0) rows = byId.all(transaction.toUpperCase(), count);
    if (rows.length === 0) rows = byMessageId.all(bareMessageId(id), count);
    return rows.map((row) => this.#stored(row));
  }

  recent(limit: number): StoredTrace<Trace>[] {
    this.flush();
    return this.#statements.recent.all(Math.min(limit, traceLimits.foundMax)).map((row) => this.#stored(row));
  }

  *since(at: number): Iterable<Trace> {
    this.flush();
    for (const { record } of this.#statements.since.iterate(at)) yield JSON.parse(record as string) as Trace;
  }

  prune(): number {
    const { deleteOld, deleteOldParts } = this.#statements;
    const oldest = this.#init.clock.now() - this.#init.retentionDays * 86_400_000;
    const removed = Number(deleteOld.run(traceLimits.pruneRows, oldest).changes);
    deleteOldParts.run(traceLimits.pruneRows, oldest);
    return removed + this.#pruneBytes();
  }

  flush(): void {
    clearTimeout(this.#flushTimer);
    this.#flushTimer = undefined;
    if (this.#waiting === 0) return;
    const [records, parts, count] = [this.#records, this.#parts, this.#waiting];
    [this.#records, this.#parts, this.#waiting] = [[], new Map(), 0];
    try {
      this.#insert(records, parts);
      this.#pruneBytes();
      if (this.#lost > 0) this.#init.log.warn('trace-lost', { records: this.#lost });
      this.#lost = 0;
    } catch (error) {
      this.#flushFailed(error, count);
    }
  }

  close(): void {
    this.flush();
    clearInterval(this.#pruneTimer);
    this.#database.close();
  }

  #wait(): void {
    this.#waiting++;
    if (this.#waiting >= traceLimits.batchRecords) this.flush();
    else this.#flushTimer ??= setTimeout(() => this.flush(), traceLimits.batchMs).unref();
  }

  #insert(records: readonly RecordRow[], parts: Map<string, PartRow[]>): void {
    const { begin, commit, record, part } = this.#statements;
    begin.run();
    for (const [id, messageId, at, text] of records) {
      const own = parts.get(id);
      parts.delete(id);
      record.run(id, messageId, at, text, own ? `[${own.map(([, json]) => json).join()}]` : null);
    }
    for (const [id, others] of parts) for (const [at, text] of others) part.run(id, at, text);
    commit.run();
  }

  /** A trace that cannot be written is lost and counted: mail does not wait for it, and memory does not fill with it. */
  #flushFailed(error: unknown, count: number): void {
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    if (this.#lost === 0) this.#init.log.error('trace-write-failed', { error: describeError(error) });
    this.#lost += count;
    if (!isCorruption(error)) return;
    this.#database.close();
    this.#database = open(this.#init);
    this.#statements = prepare(this.#database);
  }

  /** In small steps, so that a small store is not emptied; parts go with the records of their time. */
  #pruneBytes(): number {
    const { deleteOldest, deleteOldestParts } = this.#statements;
    let removed = 0;
    for (let left = traceLimits.pruneRows; left > 0; left -= traceLimits.pruneStepRows) {
      if (this.#usedBytes() <= this.#init.retentionBytes) break;
      removed += Number(deleteOldest.run(traceLimits.pruneStepRows).changes);
      deleteOldestParts.run(traceLimits.pruneStepRows);
    }
    return removed;
  }

  /** Octets of the pages that hold something; freed ones are used again before the file grows. */
  #usedBytes(): number {
    const number = (statement: StatementSync) => Number(Object.values(statement.get() ?? {})[0]);
    const { pages, freePages, pageBytes } = this.#statements;
    return (number(pages) - number(freePages)) * number(pageBytes);
  }

  #pruneQuietly(): void {
    try {
      this.prune();
    } catch (error) {
      this.#init.log.warn('trace-prune-failed', { error: describeError(error) });
    }
  }

  #stored(row: Record<string, unknown>): StoredTrace<Trace> {
    const record = JSON.parse(row.record as string) as Trace;
    const own = row.parts === null ? [] : (JSON.parse(row.parts as string) as TracePart[]);
    const others = this.#statements.partsOf.all(record.id, traceLimits.partsMax);
    const parts = [...own, ...others.map(({ part }) => JSON.parse(part as string) as TracePart)];
    return { ...record, parts: parts.sort((one, other) => one.at - other.at) };
  }
}

function open(init: TraceStoreInit): DatabaseSync {
  const path = join(init.directory, 'trace.db');
  // A trace may be lost in a power cut: without syncs its cost stays out of the way of mail.
  const database = { path, steps, synchronous: 'off', pageBytes, readOnly: init.readOnly ?? false } as const;
  return init.readOnly ? openDatabase(database) : openOrReplaceDatabase(database, init.log);
}

type Statements = ReturnType<typeof prepare>;

function prepare(database: DatabaseSync) {
  // Numbers rise with time: the oldest rows are the first, and only they are looked at.
  const first = (table: string, where: string) =>
    database.prepare(
      `DELETE FROM ${table} WHERE number IN
         (SELECT number FROM (SELECT number, at FROM ${table} ORDER BY number LIMIT ?) ${where})`,
    );
  return {
    begin: database.prepare('BEGIN'),
    commit: database.prepare('COMMIT'),
    record: database.prepare('INSERT INTO traces (id, message_id, at, record, parts) VALUES (?, ?, ?, ?, ?)'),
    part: database.prepare('INSERT INTO parts (id, at, part) VALUES (?, ?, ?)'),
    byId: database.prepare('SELECT record, parts FROM traces WHERE id = ? ORDER BY number DESC LIMIT ?'),
    byMessageId: database.prepare(
      "SELECT record, parts FROM traces WHERE message_id = ? AND message_id <> '' ORDER BY number DESC LIMIT ?",
    ),
    since: database.prepare('SELECT record FROM traces WHERE at >= ? ORDER BY number'),
    recent: database.prepare('SELECT record, parts FROM traces ORDER BY number DESC LIMIT ?'),
    partsOf: database.prepare('SELECT part FROM parts WHERE id = ? ORDER BY number LIMIT ?'),
    deleteOld: first('traces', 'WHERE at < ?'),
    deleteOldParts: first('parts', 'WHERE at < ?'),
    deleteOldest: first('traces', ''),
    deleteOldestParts: first('parts', ''),
    pages: database.prepare('PRAGMA page_count'),
    freePages: database.prepare('PRAGMA freelist_count'),
    pageBytes: database.prepare('PRAGMA page_size'),
  };
}

/** The record as JSON; of one that is too large its largest parts give way, never the head. */
function recordText(record: TraceHead): string {
  const text = JSON.stringify(record);
  if (text.length <= traceLimits.recordCharactersMax) return text;
  const fields = Object.entries(record).map(([key, value]): [string, unknown] => {
    const length = JSON.stringify(value)?.length ?? 0;
    return [
      key,
      length > traceLimits.fieldCharactersMax ? `(${length} characters, too many to keep)` : value,
    ];
  });
  return JSON.stringify(Object.fromEntries(fields));
}

/** `transaction/recipient/ordinal` names its transaction. */
function transactionOf(id: string): string {
  const slash = id.indexOf('/');
  // A Message-ID may hold a slash, and always holds an @.
  return slash < 0 || id.includes('@') ? id : id.slice(0, slash);
}

function bareMessageId(messageId: string): string {
  return messageId.trim().replace(/^<|>$/g, '');
}
