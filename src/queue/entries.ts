/** Every change of a state of the queue (the table is in open.ts) is one function here. */
import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { isDeepStrictEqual } from 'node:util';
import { deserialize, serialize } from 'node:v8';
import { queueLimits } from '../../core/base/limits/outbound.ts';
import type { Envelope } from '../../core/mail/envelope.ts';
import { ownLane } from './lanes.ts';
import { messageFormat } from './message-files.ts';
import type { FailureReply, NewQueueEntry, QueueEntry, QueueWork } from './queue.ts';
import { type Context, Rows, selectLength } from './rows.ts';

/** An entry that was taken up; `reply` tells that it was given up and the sender must hear of it. */
export interface TakenEntry {
  readonly entry: QueueEntry;
  readonly reply?: FailureReply;
}

/** Hears that something of a lane is due at `at`. */
export type OnDue = (lane: string, sender: string, at: number) => void;

/** All calls are synchronous and belong inside the writer's transaction. */
export class Entries {
  /** Told within the transaction: what it undoes was then due too early, which is found out. */
  onDue: OnDue = () => {};
  readonly rows: Rows;

  constructor(database: DatabaseSync) {
    this.rows = new Rows(database);
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
      if (this.rows.isKnown(entry.id)) continue;
      const { transactionId } = entry;
      if (added === 0)
        this.rows.run('INSERT OR IGNORE INTO messages VALUES (?, ?, ?)', transactionId, length, format);
      const context = this.#contextNumber(entry, contexts);
      const held = entry.work.kind === 'held';
      const destination = destinationOf(entry.work);
      // Our own work is done in the order it is due, whoever caused it.
      const sender = destination === ownLane ? '' : entry.envelope.sender;
      const dueAt = entry.notBefore ?? now - headStartMs(entry.envelope);
      this.rows.run(
        `INSERT INTO entries (id, message, context, status, attempts, created_at, next_attempt_at, scheduled_at,
           expires_at, last_error, work, destination, lane, sender) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        entry.id,
        transactionId,
        context,
        held ? 'held' : 'waiting',
        entry.createdAt,
        dueAt,
        now,
        expiryOf(entry, expireMs),
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

  setWritten(transactionId: string): void {
    this.rows.run('UPDATE messages SET format = ? WHERE id = ?', messageFormat, transactionId);
  }

  /** waiting or failed -> active; undefined when it is neither any more. */
  take(id: string): TakenEntry | undefined {
    const row = this.rows.get(
      `UPDATE entries SET status = 'active', attempts = attempts + 1
       WHERE id = ? AND status IN ('waiting', 'failed') RETURNING *, ${selectLength}`,
      id,
    );
    if (row === undefined) return undefined;
    const entry = this.rows.entryOf(row);
    return row.reply === null ? { entry } : { entry, reply: JSON.parse(row.reply as string) as FailureReply };
  }

  /**
   * Takes the others of the same message that are due and can share the first one's attempt, or its report: of relays
   * those for the same place with the same content.
   */
  takeAlike({ entry, reply }: TakenEntry, now: number, limit: number): TakenEntry[] {
    if (entry.work.kind !== 'relay') return [];
    const { work } = entry;
    const rows = this.rows.all(
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
    this.rows.run('UPDATE entries SET work = ? WHERE id = ?', serialize(work), id);
  }

  /** active -> waiting (or failed, where it was given up already) until `at`. */
  postpone(id: string, reason: string, at: number, now: number): void {
    const row = this.rows.get(
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
    const row = this.rows.get(
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
    const changed = this.rows.changes(
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
    return this.rows.changed('UPDATE entries SET delay_told = 1 WHERE id = ? AND delay_told = 0', id);
  }

  /** Any state -> gone; the id is remembered. Undefined when it was gone; `last`: the transaction whose last entry it was. */
  finish(id: string, now: number): { readonly last?: string } | undefined {
    const row = this.rows.get('DELETE FROM entries WHERE id = ? RETURNING message', id);
    if (row === undefined) return undefined;
    this.rows.run('INSERT OR REPLACE INTO done VALUES (?, ?)', id, now);
    const message = row.message as string;
    const last = this.rows.changed(
      'DELETE FROM messages WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM entries WHERE message = ?1)',
      message,
    );
    if (!last) return {};
    for (const { number } of this.rows.all(
      'DELETE FROM contexts WHERE message = ? RETURNING number',
      message,
    ))
      this.rows.forgetContext(number as number);
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
    return this.rows.changed(
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
    return this.rows.all(
      `SELECT id, attempts, expires_at AS expiresAt FROM entries WHERE status = 'active' ORDER BY number LIMIT ?`,
      limit,
    ) as unknown as { id: string; attempts: number; expiresAt: number }[];
  }

  /**
   * After the clock was set back: entries scheduled in what is now the future keep the wait they had, not the date.
   * A bounded number; answers how many, 0 when none is left.
   */
  rebase(now: number, limit: number): number {
    return this.rows.changes(
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
    return this.rows.changes(
      'DELETE FROM done WHERE id IN (SELECT id FROM done WHERE at < ? LIMIT ?)',
      before,
      limit,
    );
  }

  /** A clone of envelope and edits for each pair of values that the call brought. */
  #contextNumber(entry: NewQueueEntry, seen: Map<unknown, Map<unknown, number>>): number {
    const byEdits = seen.get(entry.envelope) ?? new Map<unknown, number>();
    seen.set(entry.envelope, byEdits);
    const known = byEdits.get(entry.edits);
    if (known !== undefined) return known;
    const value: Context = { envelope: entry.envelope, edits: entry.edits };
    const row = this.rows.get(
      'INSERT INTO contexts (message, value) VALUES (?, ?) RETURNING number',
      entry.transactionId,
      serialize(value),
    );
    const number = row?.number as number;
    this.rows.keepContext(number, value);
    byEdits.set(entry.edits, number);
    return number;
  }

  /** A change of one entry after which it is due; the first value is when. */
  #due(sql: string, at: number, ...values: SQLInputValue[]): boolean {
    const row = this.rows.get(sql, at, ...values);
    if (row) this.onDue(row.lane as string, row.sender as string, at);
    return row !== undefined;
  }
}

/** RFC 6710 section 5: mail of a higher priority goes as if it had come earlier, so that no other waits for ever. */
function headStartMs({ priority = 0 }: Envelope): number {
  return Math.max(0, priority) * queueLimits.priorityHeadStartMs;
}

/** Mail that is held until its date has its whole time after it; mail with a deadline no more than that. RFC 4865, RFC 2852. */
function expiryOf(
  { createdAt, notBefore = createdAt, envelope, work }: NewQueueEntry,
  expireMs: number,
): number {
  const expiresAt = Math.max(createdAt, notBefore) + expireMs;
  const { deliverBy } = envelope;
  const isMail = work.kind === 'relay' || work.kind === 'deliver';
  return isMail && deliverBy?.mode === 'return' ? Math.min(expiresAt, deliverBy.until) : expiresAt;
}

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
