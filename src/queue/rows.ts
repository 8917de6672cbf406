/** What stands in the queue's tables: entries, their lanes, and figures about them; nothing is changed here. */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { deserialize } from 'node:v8';
import { queueLimits } from '../../core/base/limits/outbound.ts';
import type { Edit } from '../../core/mail/edit.ts';
import type { Envelope } from '../../core/mail/envelope.ts';
import { ownLane } from './lanes.ts';
import { unwritten } from './message-files.ts';
import type { QueueEntry, QueueFilter, QueueStatus, QueueSummaryRow } from './queue.ts';

/** What entries of one call share. */
export interface Context {
  readonly envelope: Envelope;
  readonly edits: readonly Edit[];
}

/** All calls are synchronous. */
export class Rows {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  /** Contexts read or written last: entries of one transaction come together, and are soon taken up. */
  readonly #contexts = new Map<number, Context>();
  /** One of many recipients would be too much to keep more of. */
  #largeContext: { readonly number: number; readonly value: Context } | undefined;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  isKnown(id: string): boolean {
    return (
      this.get('SELECT 1 FROM entries WHERE id = ?', id) !== undefined ||
      this.get('SELECT 1 FROM done WHERE id = ?', id) !== undefined
    );
  }

  hasMessage(transactionId: string): boolean {
    return this.get('SELECT 1 FROM messages WHERE id = ?', transactionId) !== undefined;
  }

  /** Whether the message's file was promised to be there; until then the journal has it. */
  isWritten(transactionId: string): boolean {
    const row = this.get('SELECT format FROM messages WHERE id = ?', transactionId);
    return row !== undefined && row.format !== unwritten;
  }

  /** Every lane that has something waiting or failed, and when its first is due. */
  *lanes(): Generator<{ lane: string; sender: string; at: number }> {
    for (const row of this.#statement(
      `SELECT lane, sender, min(next_attempt_at) AS at FROM entries INDEXED BY entries_lane
       WHERE status IN ('waiting', 'failed') GROUP BY lane, sender`,
    ).iterate()) {
      yield { lane: row.lane as string, sender: row.sender as string, at: row.at as number };
    }
  }

  /** The first of a lane: its id, and when it is due. */
  first(lane: string, sender: string): { id: string; at: number } | undefined {
    const row = this.get(
      `SELECT id, next_attempt_at AS at FROM entries INDEXED BY entries_lane
       WHERE status IN ('waiting', 'failed') AND lane = ? AND sender = ? ORDER BY next_attempt_at LIMIT 1`,
      lane,
      sender,
    );
    return row as { id: string; at: number } | undefined;
  }

  /** Ids of one lane that are due, a bounded number. */
  dueFor(lane: string, now: number, limit: number): string[] {
    const rows = this.all(
      `SELECT id FROM entries INDEXED BY entries_lane
       WHERE status IN ('waiting', 'failed') AND lane = ? AND next_attempt_at <= ? LIMIT ?`,
      lane,
      now,
      limit,
    );
    return rows.map(({ id }) => id as string);
  }

  /** Whether others of that message may yet fail, or be delivered. */
  hasUndecided(transactionId: string): boolean {
    return (
      this.get(
        `SELECT 1 FROM entries WHERE message = ? AND lane > ? AND status IN ('waiting', 'active') LIMIT 1`,
        transactionId,
        ownLane,
      ) !== undefined
    );
  }

  list(filter: QueueFilter): QueueEntry[] {
    const conditions = ['number > ?'];
    const values: SQLInputValue[] = [filter.after === undefined ? 0 : this.#numberOf(filter.after)];
    if (filter.status !== undefined) conditions.push('status = ?') && values.push(filter.status);
    if (filter.transactionId !== undefined)
      conditions.push('message = ?') && values.push(filter.transactionId);
    const limit = Math.min(filter.limit ?? queueLimits.listMax, queueLimits.listMax);
    const rows = this.all(
      `${selectEntry} WHERE ${conditions.join(' AND ')} ORDER BY number LIMIT ?`,
      ...values,
      limit,
    );
    return rows.map((row) => this.entryOf(row));
  }

  find(id: string): QueueEntry | undefined {
    const row = this.get(`${selectEntry} WHERE entries.id = ?`, id);
    return row === undefined ? undefined : this.entryOf(row);
  }

  count(): Record<QueueStatus, number> {
    const counts: Record<QueueStatus, number> = { waiting: 0, active: 0, held: 0, failed: 0 };
    for (const row of this.all('SELECT status, count(*) AS n FROM entries GROUP BY status')) {
      counts[row.status as QueueStatus] = row.n as number;
    }
    return counts;
  }

  /** How much waits for each destination, the most first, a bounded number. */
  summary(limit: number): QueueSummaryRow[] {
    const rows = this.all(
      `SELECT destination, count(*) AS entries, count(DISTINCT message) AS messages,
         sum(status = 'waiting') AS waiting, sum(status = 'active') AS active, sum(status = 'held') AS held,
         sum(status = 'failed') AS failed, min(created_at) AS oldest, max(last_error) AS reason
       FROM entries GROUP BY destination ORDER BY entries DESC LIMIT ?`,
      limit,
    );
    return rows.map((row) => {
      const { destination, entries, messages, waiting, active, held, failed, oldest } =
        row as unknown as Omit<QueueSummaryRow, 'reason'>;
      return {
        destination,
        entries,
        messages,
        waiting,
        active,
        held,
        failed,
        oldest,
        reason: String(row.reason),
      };
    });
  }

  /** The latest format that a message's file is in; 0 without messages. */
  newestFormat(): number {
    return (this.get('SELECT coalesce(max(format), 0) AS n FROM messages') as { n: number }).n;
  }

  /** Transactions with a message, one after the other. */
  *messages(): Generator<{ id: string; written: boolean }> {
    for (const row of this.#statement('SELECT id, format FROM messages').iterate()) {
      yield { id: row.id as string, written: row.format !== unwritten };
    }
  }

  entryOf(row: Record<string, unknown>): QueueEntry {
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
      destination: row.destination as string,
    };
  }

  keepContext(number: number, value: Context): void {
    this.forgetContext(number);
    if (value.envelope.recipients.length > queueLimits.contextRecipientsMax) {
      this.#largeContext = { number, value };
      return;
    }
    this.#contexts.set(number, value);
    if (this.#contexts.size > queueLimits.contextsKept) {
      const [oldest] = this.#contexts.keys();
      this.#contexts.delete(oldest!);
    }
  }

  /** SQLite gives the number of one that is gone to the next. */
  forgetContext(number: number): void {
    this.#contexts.delete(number);
    if (this.#largeContext?.number === number) this.#largeContext = undefined;
  }

  #context(number: number): Context {
    const known = this.#contexts.get(number);
    if (known !== undefined) return known;
    if (this.#largeContext?.number === number) return this.#largeContext.value;
    const row = this.get('SELECT value FROM contexts WHERE number = ?', number);
    const value = deserialize(row?.value as Uint8Array) as Context;
    this.keepContext(number, value);
    return value;
  }

  #numberOf(id: string): number {
    return (this.get('SELECT number FROM entries WHERE id = ?', id)?.number as number | undefined) ?? 0;
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  get(sql: string, ...values: SQLInputValue[]): Record<string, unknown> | undefined {
    return this.#statement(sql).get(...values);
  }

  all(sql: string, ...values: SQLInputValue[]): Record<string, unknown>[] {
    return this.#statement(sql).all(...values);
  }

  run(sql: string, ...values: SQLInputValue[]): void {
    this.#statement(sql).run(...values);
  }

  changes(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }

  changed(sql: string, ...values: SQLInputValue[]): boolean {
    return this.changes(sql, ...values) > 0;
  }
}

/** Of an entry's message. */
export const selectLength = '(SELECT length FROM messages WHERE messages.id = entries.message) AS length';
const selectEntry = `SELECT *, ${selectLength} FROM entries`;
