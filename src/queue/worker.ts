/** Carries out what is due: a few entries at a time, one timer, and nothing of the others in memory. */
import type { Clock } from '../../core/base/clock.ts';
import { describeError } from '../../core/base/errors.ts';
import { queueLimits } from '../../core/base/limits.ts';
import type { Log } from '../../core/base/log.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { CommitGroup } from '../../core/state/commit-group.ts';
import type { Entries, TakenEntry } from './entries.ts';
import type { MessageFiles } from './message-files.ts';
import type { Attempt, QueueEntry, QueueHandlers } from './queue.ts';
import { isExpired, nextAttemptAt, type Schedule } from './schedule.ts';

export interface WorkerInit {
  readonly entries: Entries;
  readonly files: MessageFiles;
  readonly group: CommitGroup;
  readonly schedule: Schedule;
  readonly concurrency: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Removes an entry for good, and its message when it was the last. */
  finish(id: string): Promise<void>;
}

/** RFC 3463 section 3.5: X.4.7 is delivery time expired. */
const expiredReply: Reply = { code: 554, enhanced: '5.4.7', text: 'delivery time expired' };
/** The message is gone although the queue promised to keep it: the sender must hear that it was not delivered. */
const lostReply: Reply = { code: 554, enhanced: '5.3.0', text: 'the message was lost before delivery' };

export class QueueWorker {
  readonly #init: WorkerInit;
  readonly #handlers: QueueHandlers;
  readonly #running = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #troubledUntil = 0;
  #lastNow: number;

  constructor(init: WorkerInit, handlers: QueueHandlers) {
    this.#init = init;
    this.#handlers = handlers;
    this.#lastNow = init.clock.now();
  }

  /** Looks for work soon; to be called when something may have become due. */
  wake(): void {
    this.#sleep(0);
  }

  /** Takes nothing new, and waits for what runs. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #sleep(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(() => this.#look(), ms);
  }

  #look(): void {
    const { entries, clock, log } = this.#init;
    try {
      const now = clock.now();
      this.#followClock(now);
      const free = this.#troubled() ? 0 : this.#init.concurrency - this.#running.size;
      for (const id of free > 0 ? entries.due(now, free) : []) this.#begin(id);
      // With all places taken the next to end looks again.
      this.#sleep(this.#running.size < this.#init.concurrency ? this.#untilDue(now) : queueLimits.sleepMsMax);
    } catch (error) {
      log.error('queue-failed', { error: describeError(error) });
      this.#sleep(queueLimits.troubleMs);
    }
  }

  #untilDue(now: number): number {
    if (this.#troubled()) return queueLimits.troubleMs;
    const next = this.#init.entries.nextDueAt();
    const ms = next === undefined ? queueLimits.sleepMsMax : next - now;
    return Math.min(Math.max(ms, 0), queueLimits.sleepMsMax);
  }

  #troubled(): boolean {
    return this.#init.clock.monotonicMs() < this.#troubledUntil;
  }

  #followClock(now: number): void {
    const back = this.#lastNow - now;
    this.#lastNow = now;
    if (back < queueLimits.clockBackMs) return;
    this.#init.log.warn('queue-clock-set-back', { milliseconds: back });
    this.#rebase();
  }

  /** In batches, so that a large queue does not hold up mail. */
  #rebase(): void {
    const { group, entries, clock } = this.#init;
    group
      .runUnsynced(() => entries.rebase(clock.now(), queueLimits.batchEntries))
      .then(
        (changed) => (changed > 0 ? this.#rebase() : this.wake()),
        (error) => this.#inTrouble(error),
      );
  }

  #begin(id: string): void {
    const running: Promise<void> = this.#carryOut(id)
      .catch((error) => this.#inTrouble(error))
      .finally(() => {
        this.#running.delete(running);
        this.wake();
      });
    this.#running.add(running);
  }

  /** The entry is marked before anything is done: where that cannot be written, its end could not be either. */
  async #carryOut(id: string): Promise<void> {
    const { group, entries, files } = this.#init;
    const taken = await group.runUnsynced(() => entries.take(id));
    if (taken === undefined) return;
    const { entry } = taken;
    const source = await files.source(entry.transactionId, entry.length);
    if (taken.reply !== undefined) await this.#tell(taken, taken.reply, source ?? noMessage());
    else if (source === undefined) await this.#lost(entry);
    else await this.#conclude(entry, await this.#attempt(entry, source));
  }

  async #attempt(entry: QueueEntry, source: MessageSource): Promise<Attempt> {
    try {
      return await this.#handlers.attempt(entry, source);
    } catch (error) {
      this.#init.log.error('queue-attempt-threw', {
        id: entry.transactionId,
        entry: entry.id,
        error: describeError(error),
      });
      return { outcome: 'retry', reason: `internal error: ${describeError(error)}` };
    }
  }

  async #conclude(entry: QueueEntry, attempt: Attempt): Promise<void> {
    if (attempt.outcome === 'done') return this.#persist(() => this.#init.finish(entry.id));
    if (attempt.outcome === 'failed') return this.#giveUp(entry, attempt.reply);
    if (isExpired(entry, this.#init.clock.now())) {
      return this.#giveUp(entry, { ...expiredReply, text: `${expiredReply.text}: ${attempt.reason}` });
    }
    return this.#postpone(entry, attempt.reason);
  }

  #lost(entry: QueueEntry): Promise<void> {
    this.#init.log.error('queue-message-missing', {
      id: entry.transactionId,
      entry: entry.id,
      file: this.#init.files.path(entry.transactionId),
    });
    return this.#giveUp(entry, lostReply);
  }

  /** The sender's side hears of it; until it has, the entry stays. */
  async #tell({ entry }: TakenEntry, reply: Reply, source: MessageSource): Promise<void> {
    const { group, entries, finish } = this.#init;
    let untold: { readonly hold: string } | void;
    try {
      untold = await this.#handlers.expired(entry, source, reply);
    } catch (error) {
      this.#init.log.error('queue-bounce-failed', {
        id: entry.transactionId,
        entry: entry.id,
        error: describeError(error),
      });
      return this.#postpone(entry, `bounce: ${describeError(error)}`);
    }
    return this.#persist(async () => {
      if (untold) await group.run(() => entries.hold(entry.id, untold.hold));
      else await finish(entry.id);
    });
  }

  #giveUp(entry: QueueEntry, reply: Reply): Promise<void> {
    const { group, entries, clock } = this.#init;
    return this.#persist(() => group.run(() => entries.giveUp(entry.id, reply, clock.now())));
  }

  #postpone(entry: QueueEntry, reason: string): Promise<void> {
    const { group, entries, schedule, clock } = this.#init;
    return this.#persist(() => {
      const now = clock.now();
      // Telling the sender has no end: an entry past its expiry waits its delays all the same.
      const expiresAt = isExpired(entry, now) ? Number.MAX_SAFE_INTEGER : entry.expiresAt;
      const at = nextAttemptAt(schedule, { attempts: entry.attempts, expiresAt }, now, Math.random());
      return group.run(() => entries.postpone(entry.id, reason, at, now));
    });
  }

  /** What an attempt brought is not forgotten while the database refuses writes: the place stays taken until it is written. */
  async #persist(write: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await write();
      } catch (error) {
        this.#inTrouble(error);
        if (this.#stopped) throw error;
        await new Promise((resolve) => setTimeout(resolve, queueLimits.troubleMs));
      }
    }
  }

  #inTrouble(error: unknown): void {
    this.#init.log.error('queue-write-failed', { error: describeError(error) });
    this.#troubledUntil = this.#init.clock.monotonicMs() + queueLimits.troubleMs;
  }
}

/** Stands for a message that is lost, so that its sender can still be told. */
function noMessage(): MessageSource {
  return { kind: 'memory', buffer: new SharedArrayBuffer(0), offset: 0, length: 0 };
}
