/** What becomes of entries after an attempt: gone, waiting, given up, told; on disk before they are forgotten. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../core/base/clock.ts';
import { describeError } from '../../core/base/errors.ts';
import { queueLimits } from '../../core/base/limits/outbound.ts';
import type { Log } from '../../core/base/log.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { CommitGroup } from '../../core/state/commit-group.ts';
import type { Entries, TakenEntry } from './entries.ts';
import { noticesOf, wantsDelayNotice } from './notices.ts';
import type { Attempt, FailureReply, QueueEntry, QueueHandlers } from './queue.ts';
import { isExpired, nextAttemptAt, type Schedule } from './schedule.ts';

export interface EndingsInit {
  readonly entries: Entries;
  readonly group: CommitGroup;
  readonly schedule: Schedule;
  readonly clock: Clock;
  readonly log: Log;
  /** Removes entries of one message for good, and the message when they were its last; `before` in the same transaction. */
  finish(ids: readonly string[], before?: () => void): Promise<void>;
  /** As `finish`; a power cut may undo it. */
  finishSoon(ids: readonly string[]): Promise<void>;
}

interface Moment {
  readonly now: number;
  /** Of the delay: from 0 up to 1. */
  readonly random: number;
}

/** RFC 3463 section 3.5: X.4.7 is delivery time expired. */
const expiredReply = { code: 554, enhanced: '5.4.7', text: 'delivery time expired' };
/** The message is gone although the queue promised to keep it: the sender must hear that it was not delivered. */
const lostReply = { code: 554, enhanced: '5.3.0', text: 'the message was lost before delivery' };

export class Endings {
  readonly #init: EndingsInit;
  readonly #expired: QueueHandlers['expired'];
  #stopped = false;
  #troubledUntil = 0;

  constructor(init: EndingsInit, expired: QueueHandlers['expired']) {
    this.#init = init;
    this.#expired = expired;
  }

  /** The database refused a write a moment ago. */
  get troubled(): boolean {
    return this.#init.clock.monotonicMs() < this.#troubledUntil;
  }

  /** What cannot be written is then left as it is on disk. */
  stop(): void {
    this.#stopped = true;
  }

  /** All in one transaction: what was delivered goes, what was not stays with its reason. */
  async conclude(taken: readonly TakenEntry[], attempts: readonly Attempt[]): Promise<void> {
    const moment = this.moment();
    const done = taken.filter((_, index) => attempts[index]?.outcome === 'done');
    const transactionId = taken[0]!.entry.transactionId;
    const ids = done.map(({ entry }) => entry.id);
    if (attempts.every((attempt) => attempt.outcome === 'done' && attempt.notice === undefined)) {
      return this.#persist(() => this.#init.finishSoon(ids));
    }
    await this.#persist(() =>
      this.#init.finish(ids, () => {
        for (const [index, { entry }] of taken.entries()) this.#settle(entry, attempts[index], moment);
        this.#note(noticesOf(taken.map(({ entry }, index) => ({ entry, attempt: attempts[index] }))));
      }),
    );
    if (attempts.some((attempt) => attempt.outcome === 'failed')) this.#gatherFailures(transactionId);
  }

  /** Within a transaction: what becomes of an entry that is not done. */
  #settle(entry: QueueEntry, attempt: Attempt | undefined, moment: Moment): void {
    const { entries } = this.#init;
    const { now } = moment;
    if (attempt?.outcome === 'done') return;
    if (attempt?.outcome === 'failed') {
      entries.giveUp(entry.id, attempt.reply, this.#tellAt(entry, now), now);
      return;
    }
    const reason = attempt?.reason ?? 'no outcome';
    if (isExpired(entry, now)) {
      const remote = attempt?.remoteMta === undefined ? {} : { remoteMta: attempt.remoteMta };
      const reply = { ...expiredReply, text: `${expiredReply.text}: ${reason}`, ...remote };
      entries.giveUp(entry.id, reply, this.#tellAt(entry, now), now);
    } else this.#postponeNow(entry, reason, moment);
  }

  /** Others of the same message may fail in the same moment: one report for all. */
  #tellAt({ work }: QueueEntry, now: number): number {
    return work.kind === 'relay' ? now + queueLimits.gatherFailuresMs : now;
  }

  /** Nobody else can fail any more: the report need not wait. */
  #gatherFailures(transactionId: string): void {
    const { entries, group, clock } = this.#init;
    if (entries.rows.hasUndecided(transactionId)) return;
    group
      .runUnsynced(() => entries.tellNow(transactionId, clock.now()))
      .catch((error) => this.inTrouble(error));
  }

  #postponeNow(entry: QueueEntry, reason: string, { now, random }: Moment): void {
    const { entries, schedule } = this.#init;
    // Telling the sender has no end: an entry past its expiry waits its delays all the same.
    const expiresAt = isExpired(entry, now) ? Number.MAX_SAFE_INTEGER : nextDateOf(entry, now);
    const at = nextAttemptAt(schedule, { attempts: entry.attempts, expiresAt }, now, random);
    entries.postpone(entry.id, reason, at, now);
  }

  /** A notice for the sender is an entry of its own, in the same transaction as what it tells of. */
  #note(notices: ReturnType<typeof noticesOf>): void {
    const { entries, schedule, clock } = this.#init;
    for (const { entry, ...notice } of notices.filter(({ work }) => work.action !== 'delayed')) {
      entries.add([{ ...notice, ...shared(entry) }], entry, schedule.expireSeconds * 1000, clock.now());
    }
    const delayed = notices.filter(
      ({ entry, work }) =>
        work.action === 'delayed' &&
        wantsDelayNotice(entry, schedule, clock.now()) &&
        entries.tellDelay(entry.id),
    );
    const [first] = delayed;
    if (first === undefined) return;
    const reports = delayed.flatMap(({ work }) => work.reports);
    entries.add(
      [{ id: first.id, work: { ...first.work, reports }, ...shared(first.entry) }],
      first.entry,
      schedule.expireSeconds * 1000,
      clock.now(),
    );
  }

  /** Nothing could be tried for this reason. */
  retry(taken: readonly TakenEntry[], reason: string): Promise<void> {
    return this.conclude(
      taken,
      taken.map(() => ({ outcome: 'retry', reason })),
    );
  }

  /** The message is gone, and its sender must hear it. */
  lost(taken: readonly TakenEntry[]): Promise<void> {
    const { entry } = taken[0]!;
    this.#init.log.error('queue-message-missing', {
      id: entry.transactionId,
      entry: entry.id,
    });
    return this.conclude(
      taken,
      taken.map(() => ({ outcome: 'failed', reply: lostReply })),
    );
  }

  /** The sender's side hears of it; until it has, the entries stay. */
  async tell(taken: readonly TakenEntry[], source: MessageSource): Promise<void> {
    const { group, entries, finish } = this.#init;
    const failures = taken.map(({ entry, reply }) => ({ entry, reply: reply as FailureReply }));
    let untold: { readonly hold: string } | void;
    try {
      untold = await this.#expired(failures, source);
    } catch (error) {
      const { entry } = taken[0]!;
      const reason = describeError(error);
      this.#init.log.error('queue-bounce-failed', {
        id: entry.transactionId,
        entry: entry.id,
        error: reason,
      });
      return this.#persist(() =>
        group.run(() => {
          const moment = this.moment();
          for (const { entry } of taken) this.#postponeNow(entry, `bounce: ${reason}`, moment);
        }),
      );
    }
    return this.#persist(async () => {
      if (!untold) return finish(taken.map(({ entry }) => entry.id));
      await group.run(() => {
        for (const { entry } of taken) entries.hold(entry.id, untold.hold);
      });
    });
  }

  /** Nothing was tried: the entries wait a moment, whatever their age. */
  putOff(taken: readonly TakenEntry[], reason: string, waitMs: number): Promise<void> {
    const { entries, group, clock } = this.#init;
    return this.#persist(() =>
      group.runUnsynced(() => {
        const now = clock.now();
        for (const { entry } of taken) entries.postpone(entry.id, reason, now + waitMs, now);
      }),
    );
  }

  /** What fails at one moment is tried again at one moment: entries of one message go together. */
  moment(): Moment {
    return { now: this.#init.clock.now(), random: Math.random() };
  }

  /** Within a transaction: as if it had been tried, and its destination not reached. */
  defer({ entry }: TakenEntry, moment: Moment): void {
    const attempt: Attempt = {
      outcome: 'retry',
      reason: entry.lastError || 'the destination is not reachable',
    };
    this.#settle(entry, attempt, moment);
    this.#note(noticesOf([{ entry, attempt }]));
  }

  /** What an attempt brought is not forgotten while the database refuses writes: the place stays taken until it is written. */
  async #persist(write: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await write();
      } catch (error) {
        this.inTrouble(error);
        if (this.#stopped) throw error;
        await sleep(queueLimits.troubleMs);
      }
    }
  }

  inTrouble(error: unknown): void {
    this.#init.log.error('queue-write-failed', { error: describeError(error) });
    this.#troubledUntil = this.#init.clock.monotonicMs() + queueLimits.troubleMs;
  }
}

/** The last attempt falls upon the expiry, and one upon the time at which the sender is to hear that it is late. RFC 2852. */
function nextDateOf({ expiresAt, envelope: { deliverBy } }: QueueEntry, now: number): number {
  const told = deliverBy?.mode === 'notify' && deliverBy.until > now ? deliverBy.until : expiresAt;
  return Math.min(expiresAt, told);
}

function shared({ transactionId, envelope, edits, createdAt }: QueueEntry) {
  return { transactionId, envelope, edits, createdAt };
}
