/** Carries out what is due, destination by destination: one timer, a few entries in memory, their ends on disk before they are forgotten. */
import type { Clock } from '../../core/base/clock.ts';
import { describeError } from '../../core/base/errors.ts';
import { queueLimits } from '../../core/base/limits/outbound.ts';
import type { Log } from '../../core/base/log.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { CommitGroup } from '../../core/state/commit-group.ts';
import type { Entries, TakenEntry } from './entries.ts';
import { type Feedback, type Lane, type LaneLimits, Lanes, ownLane } from './lanes.ts';
import type { Messages } from './messages.ts';
import { noticesOf, wantsDelayNotice } from './notices.ts';
import type { Attempt, FailureReply, QueueEntry, QueueHandlers, RelayAttempt } from './queue.ts';
import { isExpired, nextAttemptAt, type Schedule } from './schedule.ts';

export interface WorkerInit {
  readonly entries: Entries;
  readonly messages: Pick<Messages, 'source' | 'isWritten' | 'isAlone'>;
  readonly group: CommitGroup;
  readonly schedule: Schedule;
  readonly lanes: LaneLimits;
  /** Entries of one attempt. */
  readonly groupMax: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Removes entries of one message for good, and the message when they were its last; `before` in the same transaction. */
  finish(ids: readonly string[], before?: () => void): Promise<void>;
  /** As `finish`; a power cut may undo it. */
  finishSoon(ids: readonly string[]): Promise<void>;
}

/** RFC 3463 section 3.5: X.4.7 is delivery time expired. */
const expiredReply = { code: 554, enhanced: '5.4.7', text: 'delivery time expired' };
/** The message is gone although the queue promised to keep it: the sender must hear that it was not delivered. */
const lostReply = { code: 554, enhanced: '5.3.0', text: 'the message was lost before delivery' };

/** The journal has it and could not give it back so far: it will. */
const unreplayed: readonly Attempt[] = [
  { outcome: 'retry', reason: 'the message is not back from the journal yet' },
];

export class QueueWorker {
  readonly #init: WorkerInit;
  readonly #handlers: QueueHandlers;
  readonly #lanes: Lanes;
  readonly #running = new Set<Promise<unknown>>();
  #timer: NodeJS.Timeout | undefined;
  #soon: NodeJS.Immediate | undefined;
  #stopped = false;
  #troubledUntil = 0;
  #lastNow: number;

  constructor(init: WorkerInit, handlers: QueueHandlers) {
    this.#init = init;
    this.#handlers = handlers;
    this.#lanes = new Lanes(init.lanes);
    this.#lastNow = init.clock.now();
    init.entries.onDue = (lane, sender, at) => {
      this.#lanes.offer(lane, sender, at);
      this.wake();
    };
    this.#offerAll();
  }

  /** Looks for work soon; to be called when something may have become due. */
  wake(): void {
    if (this.#stopped || this.#soon !== undefined) return;
    this.#soon = setImmediate(() => {
      this.#soon = undefined;
      this.#look();
    });
  }

  /** As `wake`, for a destination that may be at rest. */
  wakeDestination(destination: string): void {
    this.#lanes.wake(destination);
    this.wake();
  }

  resting(): { destination: string; until: number }[] {
    return this.#lanes.resting(this.#init.clock.now());
  }

  /** Takes nothing new, and waits for what runs. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#soon);
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #look(): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    const { clock, log } = this.#init;
    let sleepMs: number = queueLimits.sleepMsMax;
    try {
      const now = clock.now();
      this.#followClock(now);
      if (this.#troubled()) sleepMs = queueLimits.troubleMs;
      else {
        this.#beginDue(now);
        const next = this.#lanes.nextAt();
        if (next !== undefined) sleepMs = Math.min(sleepMs, Math.max(next - now, 1));
      }
    } catch (error) {
      log.error('queue-failed', { error: describeError(error) });
      sleepMs = queueLimits.troubleMs;
    }
    this.#timer = setTimeout(() => this.#look(), sleepMs);
  }

  #beginDue(now: number): void {
    const { entries } = this.#init;
    for (let lane = this.#lanes.next(now); lane !== undefined; lane = this.#lanes.next(now)) {
      const first = entries.rows.first(lane.destination, lane.sender);
      if (first !== undefined && first.at <= now) this.#begin(lane, first.id, now);
      else this.#lanes.empty(lane, first?.at);
    }
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
        (changed) => (changed > 0 ? this.#rebase() : this.#offerAll()),
        (error) => this.#inTrouble(error),
      );
  }

  #offerAll(): void {
    this.#lanes.clear();
    for (const { lane, sender, at } of this.#init.entries.rows.lanes()) this.#lanes.offer(lane, sender, at);
    this.wake();
  }

  #begin(lane: Lane, id: string, now: number): void {
    this.#lanes.begun(lane, now);
    let feedback: Feedback = 'none';
    this.#track(
      this.#carryOut(id).then(
        (learnt) => {
          feedback = learnt;
        },
        (error) => this.#inTrouble(error),
      ),
      () => {
        const rests = this.#lanes.ended(lane, feedback, this.#init.clock.now());
        if (rests) this.#deferAll(lane.destination);
        this.wake();
      },
    );
  }

  #track(work: Promise<unknown>, ended: () => void): void {
    const running: Promise<unknown> = work.finally(() => {
      this.#running.delete(running);
      ended();
    });
    this.#running.add(running);
  }

  /** The entries are marked before anything is done: where that cannot be written, their end could not be either. */
  async #carryOut(id: string): Promise<Feedback> {
    const { group, messages } = this.#init;
    const taken = await group.runUnsynced(() => this.#take(id));
    const [first] = taken;
    if (first === undefined) return 'none';
    const { entry } = first;
    const { transactionId } = entry;
    const source = await messages.source(transactionId, entry.length);
    if (first.reply !== undefined) await this.#tell(taken, source ?? noMessage());
    else if (source === undefined && !messages.isWritten(transactionId))
      await this.#conclude(taken, unreplayed);
    else if (source === undefined) await this.#lost(taken);
    else if (entry.work.kind === 'relay' && this.#handlers.relay) return this.#relay(taken, source);
    else await this.#conclude(taken, [await this.#attempt(entry, source)]);
    return 'none';
  }

  #take(id: string): TakenEntry[] {
    const { entries, clock, groupMax, messages } = this.#init;
    const first = entries.take(id);
    if (first === undefined) return [];
    if (first.reply === undefined && messages.isAlone(first.entry.transactionId)) return [first];
    const limit = first.reply === undefined ? groupMax : queueLimits.groupEntriesMax;
    return [first, ...entries.takeAlike(first, clock.now(), limit - 1)];
  }

  async #attempt(entry: QueueEntry, source: MessageSource): Promise<Attempt> {
    try {
      return await this.#handlers.attempt(entry, source);
    } catch (error) {
      return this.#threw(entry, error);
    }
  }

  async #relay(taken: readonly TakenEntry[], source: MessageSource): Promise<Feedback> {
    const { group, entries } = this.#init;
    const all = taken.map(({ entry }) => entry);
    let outcome: RelayAttempt;
    try {
      outcome = await this.#handlers.relay!(all, source, (sent) =>
        group.runUnsynced(() => {
          for (const { id, work } of all) if (work.kind === 'relay') entries.setWork(id, { ...work, sent });
        }),
      );
    } catch (error) {
      outcome = { attempts: all.map((entry) => this.#threw(entry, error)), destination: 'none' };
    }
    await this.#conclude(taken, outcome.attempts);
    return outcome.destination;
  }

  #threw(entry: QueueEntry, error: unknown): Attempt {
    this.#init.log.error('queue-attempt-threw', {
      id: entry.transactionId,
      entry: entry.id,
      error: describeError(error),
    });
    return { outcome: 'retry', reason: `internal error: ${describeError(error)}` };
  }

  /** All in one transaction: what was delivered goes, what was not stays with its reason. */
  async #conclude(taken: readonly TakenEntry[], attempts: readonly Attempt[]): Promise<void> {
    const done = taken.filter((_, index) => attempts[index]?.outcome === 'done');
    const transactionId = taken[0]!.entry.transactionId;
    const ids = done.map(({ entry }) => entry.id);
    if (attempts.every((attempt) => attempt.outcome === 'done' && attempt.notice === undefined)) {
      return this.#persist(() => this.#init.finishSoon(ids));
    }
    await this.#persist(() =>
      this.#init.finish(ids, () => {
        for (const [index, { entry }] of taken.entries()) this.#settle(entry, attempts[index]);
        this.#note(noticesOf(taken.map(({ entry }, index) => ({ entry, attempt: attempts[index] }))));
      }),
    );
    if (attempts.some((attempt) => attempt.outcome === 'failed')) this.#gatherFailures(transactionId);
  }

  /** Within a transaction: what becomes of an entry that is not done. */
  #settle(entry: QueueEntry, attempt: Attempt | undefined): void {
    const { entries, clock } = this.#init;
    if (attempt?.outcome === 'done') return;
    const now = clock.now();
    if (attempt?.outcome === 'failed') {
      entries.giveUp(entry.id, attempt.reply, this.#tellAt(entry, now), now);
      return;
    }
    const reason = attempt?.reason ?? 'no outcome';
    if (isExpired(entry, now)) {
      const remote = attempt?.remoteMta === undefined ? {} : { remoteMta: attempt.remoteMta };
      const reply = { ...expiredReply, text: `${expiredReply.text}: ${reason}`, ...remote };
      entries.giveUp(entry.id, reply, this.#tellAt(entry, now), now);
    } else this.#postponeNow(entry, reason, now);
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
      .catch((error) => this.#inTrouble(error));
  }

  #postponeNow(entry: QueueEntry, reason: string, now: number): void {
    const { entries, schedule } = this.#init;
    // Telling the sender has no end: an entry past its expiry waits its delays all the same.
    const expiresAt = isExpired(entry, now) ? Number.MAX_SAFE_INTEGER : entry.expiresAt;
    const at = nextAttemptAt(schedule, { attempts: entry.attempts, expiresAt }, now, Math.random());
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

  #lost(taken: readonly TakenEntry[]): Promise<void> {
    const { entry } = taken[0]!;
    this.#init.log.error('queue-message-missing', {
      id: entry.transactionId,
      entry: entry.id,
    });
    return this.#conclude(
      taken,
      taken.map(() => ({ outcome: 'failed', reply: lostReply })),
    );
  }

  /** The sender's side hears of it; until it has, the entries stay. */
  async #tell(taken: readonly TakenEntry[], source: MessageSource): Promise<void> {
    const { group, entries, finish, clock } = this.#init;
    const failures = taken.map(({ entry, reply }) => ({ entry, reply: reply as FailureReply }));
    let untold: { readonly hold: string } | void;
    try {
      untold = await this.#handlers.expired(failures, source);
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
          for (const each of taken) this.#postponeNow(each.entry, `bounce: ${reason}`, clock.now());
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

  /** While a destination rests, what is due for it waits its delays, and is given up at its time, as if it had been tried. */
  #deferAll(destination: string): void {
    if (destination === ownLane) return;
    const { group, entries, clock } = this.#init;
    const defer = async () => {
      for (;;) {
        const count = await group.runUnsynced(() => {
          const ids = entries.rows.dueFor(destination, clock.now(), queueLimits.deferAtOnce);
          for (const id of ids) this.#deferOne(id);
          return ids.length;
        });
        if (count < queueLimits.deferAtOnce || this.#stopped) return;
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    this.#track(
      defer().catch((error) => this.#inTrouble(error)),
      () => this.wake(),
    );
  }

  #deferOne(id: string): void {
    const taken = this.#init.entries.take(id);
    if (taken === undefined) return;
    const attempt: Attempt = {
      outcome: 'retry',
      reason: taken.entry.lastError || 'the destination is not reachable',
    };
    this.#settle(taken.entry, attempt);
    this.#note(noticesOf([{ entry: taken.entry, attempt }]));
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

function shared({ transactionId, envelope, edits, createdAt }: QueueEntry) {
  return { transactionId, envelope, edits, createdAt };
}

/** Stands for a message that is lost, so that its sender can still be told. */
function noMessage(): MessageSource {
  return { kind: 'memory', buffer: new SharedArrayBuffer(0), offset: 0, length: 0 };
}
