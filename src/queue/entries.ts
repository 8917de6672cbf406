/** The queue's tables: entries, what they share, and the ids that are done. Every change of a state is one function here. */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { isDeepStrictEqual } from 'node:util';
import { deserialize, serialize } from 'node:v8';
import { queueLimits } from '../../core/base/limits/outbound.ts';
import type { Edit } from '../../core/mail/edit.ts';
import type { Envelope } from '../../core/mail/envelope.ts';
import { ownLane } from './lanes.ts';
import { messageFormat, unwritten } from './message-files.ts';
import type {
  FailureReply,
  NewQueueEntry,
  QueueEntry,
  QueueFilter,
  QueueStatus,
  QueueSummaryRow,
  QueueWork,
} from './queue.ts';

/** An entry that was taken up; `reply` tells that it was given up and the sender must hear of it. */
export interface TakenEntry {
  readonly entry: QueueEntry;
  readonly reply?: FailureReply;
}

/** Hears that something of a lane is due at `at`. */
export type OnDue = (lane: string, sender: string, at: number) => void;

interface Context {
  readonly envelope: Envelope;
  readonly edits: readonly Edit[];
}

/** All calls are synchronous and belong inside the writer's transaction, but for the reads. */
export class Entries {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  /** Told within the transaction: what it undoes was then due too early, which is found out. */
  onDue: OnDue = () => {};
  /** Entries of one transaction come together: the context read last serves them all. */
  #lastContext: { number: number; value: Context } | undefined;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /**
   * Adds what is neither here nor done; answers how many were new.
   * @param format of the message's file, `unwritten` while only the journal has it
   */
  add(
    entries: readonly NewQueueEntry[],
    { length, format = messageFormat }: { readonly length: number; readonly format?: number },
    expireMs: number,
    now: number,
  ): number {
    const contexts = new Map<unknown, Map<unknown, number>>();
    let added = 0;
    for (const entry of entries) {
      if (this.isKnown(entry.id)) continue;
      const { transactionId } = entry;
      this.#run('INSERT OR IGNORE INTO messages VALUES (?, ?, ?)', transactionId, length, format);
      const context = this.#contextNumber(entry, contexts);
      const held = entry.work.kind === 'held';
      const destination = destinationOf(entry.work);
      // Our own work is done in the order it is due, whoever caused it.
      const sender = destination === ownLane ? '' : entry.envelope.sender;
      const dueAt = entry.notBefore ?? now;
      this.#run(
        `INSERT INTO entries (id, message, context, status, attempts, created_at, next_attempt_at, scheduled_at,
           expires_at, last_error, work, destination, lane, sender) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        entry.id,
        transactionId,
        context,
        held ? 'held' : 'waiting',
        entry.createdAt,
        dueAt,
        now,
        entry.createdAt + expireMs,
        entry.lastError ?? '',
        serialize(entry.work),
        destination,
        destination,
        sender,
      );
      if (!held) this.onDue(destination, sender, dueAt);
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

  /** Whether the message's file was promised to be there; until then the journal has it. */
  isWritten(transactionId: string): boolean {
    const row = this.#get('SELECT format FROM messages WHERE id = ?', transactionId);
    return row !== undefined && row.format !== unwritten;
  }

  setWritten(transactionId: string): void {
    this.#run('UPDATE messages SET format = ? WHERE id = ?', messageFormat, transactionId);
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
    const row = this.#get(
      `SELECT id, next_attempt_at AS at FROM entries INDEXED BY entries_lane
       WHERE status IN ('waiting', 'failed') AND lane = ? AND sender = ? ORDER BY next_attempt_at LIMIT 1`,
      lane,
      sender,
    );
    return row as { id: string; at: number } | undefined;
  }

  /** Ids of one lane that are due, a bounded number. */
  dueFor(lane: string, now: number, limit: number): string[] {
    const rows = this.#all(
      `SELECT id FROM entries INDEXED BY entries_lane
       WHERE status IN ('waiting', 'failed') AND lane = ? AND next_attempt_at <= ? LIMIT ?`,
      lane,
      now,
      limit,
    );
    return rows.map(({ id }) => id as string);
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
    return row?.reply == null ? { entry } : { entry, reply: JSON.parse(row.reply as string) as FailureReply };
  }

  /**
   * Takes the others of the same message that are due and can share the first one's attempt, or its report: of relays
   * those for the same place with the same content.
   */
  takeAlike({ entry, reply }: TakenEntry, now: number, limit: number): TakenEntry[] {
    if (entry.work.kind !== 'relay') return [];
    const { work } = entry;
    const rows = this.#all(
      `SELECT id, work FROM entries INDEXED BY entries_alike
       WHERE message = ? AND lane = ? AND status = ? AND next_attempt_at <= ? ORDER BY number LIMIT ?`,
      entry.transactionId,
      reply === undefined ? entry.destination : ownLane,
      reply === undefined ? 'waiting' : 'failed',
      now,
      limit,
    );
    return rows.flatMap((row) => {
      const other = deserialize(row.work as Uint8Array) as QueueWork;
      const alike = reply !== undefined ? other.kind === 'relay' : sameContent(work, other);
      return (alike && this.take(row.id as string)) || [];
    });
  }

  /** What was found out on the way, kept for later attempts. */
  setWork(id: string, work: QueueWork): void {
    this.#run('UPDATE entries SET work = ? WHERE id = ?', serialize(work), id);
  }

  /** active -> waiting (or failed, where it was given up already) until `at`. */
  postpone(id: string, reason: string, at: number, now: number): void {
    const row = this.#get(
      `UPDATE entries SET status = iif(reply IS NULL, 'waiting', 'failed'), last_error = ?, next_attempt_at = ?,
         scheduled_at = ? WHERE id = ? AND status = 'active' RETURNING lane, sender`,
      reason,
      at,
      now,
      id,
    );
    if (row) this.onDue(row.lane as string, row.sender as string, at);
  }

  /** active -> failed, due at `at`: the sender is to be told. */
  giveUp(id: string, reply: FailureReply, at: number, now: number): void {
    const row = this.#get(
      `UPDATE entries SET status = 'failed', reply = ?, last_error = ?, attempts = 0, next_attempt_at = ?,
         scheduled_at = ?, lane = ?, sender = '' WHERE id = ? AND status = 'active' RETURNING id`,
      JSON.stringify(reply),
      reply.text,
      at,
      now,
      ownLane,
      id,
    );
    if (row) this.onDue(ownLane, '', at);
  }

  /** failed -> failed, due now. */
  tellNow(transactionId: string, now: number): void {
    const changed = this.#changes(
      `UPDATE entries SET next_attempt_at = ?1
       WHERE message = ?2 AND lane = ?3 AND status = 'failed' AND next_attempt_at > ?1 AND attempts = 0`,
      now,
      transactionId,
      ownLane,
    );
    if (changed > 0) this.onDue(ownLane, '', now);
  }

  /** True for the one call that finds that the sender does not know yet. */
  tellDelay(id: string): boolean {
    return this.#changed('UPDATE entries SET delay_told = 1 WHERE id = ? AND delay_told = 0', id);
  }

  /** Whether others of that message may yet fail, or be delivered. */
  hasUndecided(transactionId: string): boolean {
    return (
      this.#get(
        `SELECT 1 FROM entries WHERE message = ? AND lane > ? AND status IN ('waiting', 'active') LIMIT 1`,
        transactionId,
        ownLane,
      ) !== undefined
    );
  }

  /** Any state -> gone; the id is remembered. Undefined when it was gone; `last`: the transaction whose last entry it was. */
  finish(id: string, now: number): { readonly last?: string } | undefined {
    const row = this.#get('DELETE FROM entries WHERE id = ? RETURNING message', id);
    if (row === undefined) return undefined;
    this.#run('INSERT OR REPLACE INTO done VALUES (?, ?)', id, now);
    const message = row.message as string;
    if (this.#get('SELECT 1 FROM entries WHERE message = ? LIMIT 1', message) !== undefined) return {};
    this.#run('DELETE FROM contexts WHERE message = ?', message);
    // The number may be given again, to the context of other mail.
    this.#lastContext = undefined;
    this.#run('DELETE FROM messages WHERE id = ?', message);
    return { last: message };
  }

  /** waiting or failed -> waiting, due now. */
  retry(id: string, now: number): boolean {
    return this.#due(
      `UPDATE entries SET status = 'waiting', reply = NULL, next_attempt_at = ?, scheduled_at = ?, lane = destination
       WHERE id = ? AND status IN ('waiting', 'failed') RETURNING lane, sender`,
      now,
      now,
      id,
    );
  }

  /** waiting, active or failed -> held; an attempt that runs may still end it. */
  hold(id: string, reason: string): boolean {
    return this.#changed(
      `UPDATE entries SET status = 'held', reply = NULL, lane = destination, last_error = ?
       WHERE id = ? AND status <> 'held'`,
      reason,
      id,
    );
  }

  /** held -> waiting, due now, with its whole time before it: an operator's pause is no fault of the mail. */
  release(id: string, expireMs: number, now: number): boolean {
    return this.#due(
      `UPDATE entries SET status = 'waiting', attempts = 0, next_attempt_at = ?, scheduled_at = ?, expires_at = ?
       WHERE id = ? AND status = 'held' RETURNING lane, sender`,
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

  /** How much waits for each destination, the most first, a bounded number. */
  summary(limit: number): QueueSummaryRow[] {
    const rows = this.#all(
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
    return (this.#get('SELECT coalesce(max(format), 0) AS n FROM messages') as { n: number }).n;
  }

  /** Transactions with a message, one after the other. */
  *messages(): Generator<{ id: string; written: boolean }> {
    for (const row of this.#statement('SELECT id, format FROM messages').iterate()) {
      yield { id: row.id as string, written: row.format !== unwritten };
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
    // SQLite gives the number of one that is gone to the next.
    this.#lastContext = undefined;
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
      destination: row.destination as string,
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

  /** A change of one entry after which it is due; the first value is when. */
  #due(sql: string, at: number, ...values: SQLInputValue[]): boolean {
    const row = this.#get(sql, at, ...values);
    if (row) this.onDue(row.lane as string, row.sender as string, at);
    return row !== undefined;
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

/** Where an entry waits its turn: at the relay, or at the domain of its first recipient where that decides. */
export function destinationOf(work: QueueWork): string {
  if (work.kind !== 'relay') return ownLane;
  if (work.via !== 'mx') return work.via;
  const address = work.recipients[0]?.address ?? '';
  return address.slice(address.lastIndexOf('@') + 1).toLowerCase() || 'mx';
}

type Relay = QueueWork & { kind: 'relay' };

function sameContent(one: Relay, other: QueueWork): boolean {
  return (
    other.kind === 'relay' &&
    other.via === one.via &&
    isDeepStrictEqual(other.edits ?? [], one.edits ?? []) &&
    isDeepStrictEqual(other.sent, one.sent)
  );
}
