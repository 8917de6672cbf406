/** The queue's tables: entries, what they share, and the ids that are done. Every change of a state is one function here. */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { deserialize, serialize } from 'node:v8';
import { queueLimits } from '../../core/base/limits.ts';
import type { Edit } from '../../core/mail/edit.ts';
import type { Envelope } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import { messageFormat } from './message-files.ts';
import type { NewQueueEntry, QueueEntry, QueueFilter, QueueStatus } from './queue.ts';

/**
 * Steps of queue.db. Times are epoch milliseconds. `work` and a context's `value` (envelope and common edits, shared
 * by the entries of one call) are structured clones as node:v8 writes them, which later versions can read.
 * `next_attempt_at` was set at `scheduled_at`; `reply` is set once the entry was given up.
 */
export const steps = [
  `CREATE TABLE messages (id TEXT PRIMARY KEY, length INTEGER NOT NULL, format INTEGER NOT NULL) WITHOUT ROWID;
   CREATE TABLE contexts (number INTEGER PRIMARY KEY, message TEXT NOT NULL, value BLOB NOT NULL);
   CREATE INDEX contexts_message ON contexts (message);
   CREATE TABLE entries (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, message TEXT NOT NULL,
     context INTEGER NOT NULL, status TEXT NOT NULL, attempts INTEGER NOT NULL, created_at INTEGER NOT NULL,
     next_attempt_at INTEGER NOT NULL, scheduled_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
     last_error TEXT NOT NULL, reply TEXT, work BLOB NOT NULL);
   CREATE INDEX entries_message ON entries (message);
   CREATE INDEX entries_status ON entries (status, number);
   CREATE INDEX entries_due ON entries (next_attempt_at) WHERE status IN ('waiting', 'failed');
   CREATE TABLE done (id TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
   CREATE INDEX done_at ON done (at)`,
];

/** An entry that was taken up; `reply` tells that it was given up and the sender must hear of it. */
export interface TakenEntry {
  readonly entry: QueueEntry;
  readonly reply?: Reply;
}

interface Context {
  readonly envelope: Envelope;
  readonly edits: readonly Edit[];
}

/** All calls are synchronous and belong inside the writer's transaction, but for the reads. */
export class Entries {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  /** Entries of one transaction come together: the context read last serves them all. */
  #lastContext: { number: number; value: Context } | undefined;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Adds what is neither here nor done; answers how many were new. */
  add(entries: readonly NewQueueEntry[], length: number, expireMs: number, now: number): number {
    const contexts = new Map<unknown, Map<unknown, number>>();
    let added = 0;
    for (const entry of entries) {
      if (this.isKnown(entry.id)) continue;
      const { transactionId } = entry;
      this.#run('INSERT OR IGNORE INTO messages VALUES (?, ?, ?)', transactionId, length, messageFormat);
      const context = this.#contextNumber(entry, contexts);
      this.#run(
        `INSERT INTO entries (id, message, context, status, attempts, created_at, next_attempt_at, scheduled_at,
           expires_at, last_error, work) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?)`,
        entry.id,
        transactionId,
        context,
        entry.work.kind === 'held' ? 'held' : 'waiting',
        entry.createdAt,
        entry.notBefore ?? now,
        now,
        entry.createdAt + expireMs,
        entry.lastError ?? '',
        serialize(entry.work),
      );
      added++;
    }
    return added;
  }

  isKnown(id: string): boolean {
    return (
      this.#get('SELECT 1 FROM entries WHERE id = ?', id) !== undefined ||
      this.#get('SELECT 1 FROM done WHERE id = ?', id) !== undefined
    );
  }

  hasMessage(transactionId: string): boolean {
    return this.#get('SELECT 1 FROM messages WHERE id = ?', transactionId) !== undefined;
  }

  /** Ids that are due, the longest due first. */
  due(now: number, limit: number): string[] {
    const rows = this.#all(
      `SELECT id FROM entries INDEXED BY entries_due WHERE status IN ('waiting', 'failed') AND next_attempt_at <= ?
       ORDER BY next_attempt_at LIMIT ?`,
      now,
      limit,
    );
    return rows.map(({ id }) => id as string);
  }

  nextDueAt(): number | undefined {
    const row = this.#get(
      `SELECT next_attempt_at AS at FROM entries INDEXED BY entries_due WHERE status IN ('waiting', 'failed')
       ORDER BY next_attempt_at LIMIT 1`,
    );
    return row?.at as number | undefined;
  }

  /** waiting or failed -> active; undefined when it is neither any more. */
  take(id: string): TakenEntry | undefined {
    const row = this.#get(
      `UPDATE entries SET status = 'active', attempts = attempts + 1
       WHERE id = ? AND status IN ('waiting', 'failed') RETURNING reply`,
      id,
    );
    const entry = row && this.find(id);
    if (entry === undefined) return undefined;
    return row?.reply == null ? { entry } : { entry, reply: JSON.parse(row.reply as string) as Reply };
  }

  /** active -> waiting (or failed, where it was given up already) until `at`. */
  postpone(id: string, reason: string, at: number, now: number): void {
    this.#run(
      `UPDATE entries SET status = iif(reply IS NULL, 'waiting', 'failed'), last_error = ?, next_attempt_at = ?,
         scheduled_at = ? WHERE id = ? AND status = 'active'`,
      reason,
      at,
      now,
      id,
    );
  }

  /** active -> failed, due at once: the sender is to be told. */
  giveUp(id: string, reply: Reply, now: number): void {
    this.#run(
      `UPDATE entries SET status = 'failed', reply = ?, last_error = ?, attempts = 0, next_attempt_at = ?,
         scheduled_at = ? WHERE id = ? AND status = 'active'`,
      JSON.stringify(reply),
      reply.text,
      now,
      now,
      id,
    );
  }

  /** Any state -> gone; the id is remembered. Answers the transaction whose last entry this was, if it was. */
  finish(id: string, now: number): string | undefined {
    const row = this.#get('DELETE FROM entries WHERE id = ? RETURNING message', id);
    if (row === undefined) return undefined;
    this.#run('INSERT OR REPLACE INTO done VALUES (?, ?)', id, now);
    const message = row.message as string;
    if (this.#get('SELECT 1 FROM entries WHERE message = ? LIMIT 1', message) !== undefined) return undefined;
    this.#run('DELETE FROM contexts WHERE message = ?', message);
    this.#run('DELETE FROM messages WHERE id = ?', message);
    return message;
  }

  /** waiting or failed -> waiting, due now. */
  retry(id: string, now: number): boolean {
    return this.#changed(
      `UPDATE entries SET status = 'waiting', reply = NULL, next_attempt_at = ?, scheduled_at = ?
       WHERE id = ? AND status IN ('waiting', 'failed')`,
      now,
      now,
      id,
    );
  }

  /** waiting, active or failed -> held; an attempt that runs may still end it. */
  hold(id: string, reason: string): boolean {
    return this.#changed(
      `UPDATE entries SET status = 'held', reply = NULL, last_error = ? WHERE id = ? AND status <> 'held'`,
      reason,
      id,
    );
  }

  /** held -> waiting, due now, with its whole time before it: an operator's pause is no fault of the mail. */
  release(id: string, expireMs: number, now: number): boolean {
    return this.#changed(
      `UPDATE entries SET status = 'waiting', attempts = 0, next_attempt_at = ?, scheduled_at = ?, expires_at = ?
       WHERE id = ? AND status = 'held'`,
      now,
      now,
      now + expireMs,
      id,
    );
  }

  /** active -> waiting or failed: those whose attempt a crash cut off, a bounded number; answers their ids and attempts. */
  abandoned(limit: number): { id: string; attempts: number; expiresAt: number }[] {
    return this.#all(
      `SELECT id, attempts, expires_at AS expiresAt FROM entries WHERE status = 'active' ORDER BY number LIMIT ?`,
      limit,
    ) as unknown as { id: string; attempts: number; expiresAt: number }[];
  }

  /**
   * After the clock was set back: entries scheduled in what is now the future keep the wait they had, not the date.
   * A bounded number; answers how many, 0 when none is left.
   */
  rebase(now: number, limit: number): number {
    return this.#changes(
      `UPDATE entries SET next_attempt_at = ?1 + (next_attempt_at - scheduled_at),
         expires_at = expires_at - (scheduled_at - ?1), scheduled_at = ?1
       WHERE number IN (SELECT number FROM entries WHERE scheduled_at > ?2 LIMIT ?3)`,
      now,
      now + queueLimits.clockBackMs,
      limit,
    );
  }

  /** Forgets ids that were done before `before`, a bounded number. */
  forgetDone(before: number, limit: number): number {
    return this.#changes(
      'DELETE FROM done WHERE id IN (SELECT id FROM done WHERE at < ? LIMIT ?)',
      before,
      limit,
    );
  }

  list(filter: QueueFilter): QueueEntry[] {
    const conditions = ['number > ?'];
    const values: SQLInputValue[] = [filter.after === undefined ? 0 : this.#numberOf(filter.after)];
    if (filter.status !== undefined) conditions.push('status = ?') && values.push(filter.status);
    if (filter.transactionId !== undefined)
      conditions.push('message = ?') && values.push(filter.transactionId);
    const limit = Math.min(filter.limit ?? queueLimits.listMax, queueLimits.listMax);
    const rows = this.#all(
      `${selectEntry} WHERE ${conditions.join(' AND ')} ORDER BY number LIMIT ?`,
      ...values,
      limit,
    );
    return rows.map((row) => this.#entryOf(row));
  }

  find(id: string): QueueEntry | undefined {
    const row = this.#get(`${selectEntry} WHERE entries.id = ?`, id);
    return row === undefined ? undefined : this.#entryOf(row);
  }

  count(): Record<QueueStatus, number> {
    const counts: Record<QueueStatus, number> = { waiting: 0, active: 0, held: 0, failed: 0 };
    for (const row of this.#all('SELECT status, count(*) AS n FROM entries GROUP BY status')) {
      counts[row.status as QueueStatus] = row.n as number;
    }
    return counts;
  }

  /** The latest format that a message's file is in; 0 without messages. */
  newestFormat(): number {
    return (this.#get('SELECT coalesce(max(format), 0) AS n FROM messages') as { n: number }).n;
  }

  /** Transactions with a message, one after the other. */
  *messages(): Generator<{ id: string; length: number }> {
    for (const row of this.#statement('SELECT id, length FROM messages').iterate()) {
      yield { id: row.id as string, length: row.length as number };
    }
  }

  /** A clone of envelope and edits for each pair of values that the call brought. */
  #contextNumber(entry: NewQueueEntry, seen: Map<unknown, Map<unknown, number>>): number {
    const byEdits = seen.get(entry.envelope) ?? new Map<unknown, number>();
    seen.set(entry.envelope, byEdits);
    const known = byEdits.get(entry.edits);
    if (known !== undefined) return known;
    const value: Context = { envelope: entry.envelope, edits: entry.edits };
    const row = this.#get(
      'INSERT INTO contexts (message, value) VALUES (?, ?) RETURNING number',
      entry.transactionId,
      serialize(value),
    );
    const number = row?.number as number;
    byEdits.set(entry.edits, number);
    return number;
  }

  #entryOf(row: Record<string, unknown>): QueueEntry {
    const { envelope, edits } = this.#context(row.context as number);
    return {
      id: row.id as string,
      transactionId: row.message as string,
      work: deserialize(row.work as Uint8Array),
      envelope,
      edits,
      status: row.status as QueueStatus,
      attempts: row.attempts as number,
      createdAt: row.created_at as number,
      nextAttemptAt: row.next_attempt_at as number,
      expiresAt: row.expires_at as number,
      lastError: row.last_error as string,
      length: row.length as number,
    };
  }

  #context(number: number): Context {
    if (this.#lastContext?.number !== number) {
      const row = this.#get('SELECT value FROM contexts WHERE number = ?', number);
      this.#lastContext = { number, value: deserialize(row?.value as Uint8Array) };
    }
    return this.#lastContext.value;
  }

  #numberOf(id: string): number {
    return (this.#get('SELECT number FROM entries WHERE id = ?', id)?.number as number | undefined) ?? 0;
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #get(sql: string, ...values: SQLInputValue[]): Record<string, unknown> | undefined {
    return this.#statement(sql).get(...values);
  }

  #all(sql: string, ...values: SQLInputValue[]): Record<string, unknown>[] {
    return this.#statement(sql).all(...values);
  }

  #run(sql: string, ...values: SQLInputValue[]): void {
    this.#statement(sql).run(...values);
  }

  #changes(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }

  #changed(sql: string, ...values: SQLInputValue[]): boolean {
    return this.#changes(sql, ...values) > 0;
  }
}

const selectEntry = `SELECT entries.*, messages.length FROM entries JOIN messages ON messages.id = entries.message`;
