/** Carries out what is due, destination by destination: one timer, a few entries in memory, their ends on disk before they are forgotten. */
import { describeError } from '../../core/base/errors.ts';
import { queueLimits } from '../../core/base/limits/outbound.ts';
import { type MessageSource, memorySource } from '../../core/mail/source.ts';
import { Endings, type EndingsInit } from './endings.ts';
import type { TakenEntry } from './entries.ts';
import { type Feedback, type Lane, type LaneLimits, Lanes, ownLane } from './lanes.ts';
import type { Messages } from './messages.ts';
import type { Attempt, QueueEntry, QueueHandlers, RelayAttempt } from './queue.ts';

export interface WorkerInit extends EndingsInit {
  readonly messages: Pick<Messages, 'source' | 'isAwaited' | 'isWritten' | 'isAlone'>;
  readonly lanes: LaneLimits;
  /** Entries of one attempt. */
  readonly groupMax: number;
}

/** Only the journal has it so far. */
const notBack = 'the message is not back from the journal yet';

export class QueueWorker {
  readonly #init: WorkerInit;
  readonly #handlers: QueueHandlers;
  readonly #lanes: Lanes;
  readonly #endings: Endings;
  readonly #running = new Set<Promise<unknown>>();
  #timer: NodeJS.Timeout | undefined;
  #soon: NodeJS.Immediate | undefined;
  #stopped = false;
  #lastNow: number;

  constructor(init: WorkerInit, handlers: QueueHandlers) {
    this.#init = init;
    this.#handlers = handlers;
    this.#lanes = new Lanes(init.lanes);
    this.#endings = new Endings(init, (failures, source) => handlers.expired(failures, source));
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
    this.#endings.stop();
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
      if (this.#endings.troubled) sleepMs = queueLimits.troubleMs;
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
        (error) => this.#endings.inTrouble(error),
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
        (error) => this.#endings.inTrouble(error),
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
    if (messages.isAwaited(transactionId)) {
      await this.#endings.putOff(taken, notBack, queueLimits.awaitJournalMs);
      return 'none';
    }
    let source: MessageSource | undefined;
    let unreadable: unknown;
    try {
      source = await messages.source(transactionId, entry.length);
    } catch (error) {
      unreadable = error;
    }
    // Whoever is told hears it without the message rather than never.
    if (first.reply !== undefined) await this.#endings.tell(taken, source ?? noMessage());
    else if (unreadable !== undefined) await this.#endings.retry(taken, describeError(unreadable));
    else if (source === undefined && !messages.isWritten(transactionId))
      await this.#endings.retry(taken, notBack);
    else if (source === undefined) await this.#endings.lost(taken);
    else if (entry.work.kind === 'relay' && this.#handlers.relay) return this.#relay(taken, source);
    else await this.#endings.conclude(taken, [await this.#attempt(entry, source)]);
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
    await this.#endings.conclude(taken, outcome.attempts);
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

  /** While a destination rests, what is due for it waits its delays, and is given up at its time, as if it had been tried. */
  #deferAll(destination: string): void {
    if (destination === ownLane) return;
    const { group, entries, clock } = this.#init;
    const { random } = this.#endings.moment();
    const defer = async () => {
      for (;;) {
        const count = await group.runUnsynced(() => {
          const moment = { now: clock.now(), random };
          const ids = entries.rows.dueFor(destination, moment.now, queueLimits.deferAtOnce);
          for (const id of ids) {
            const taken = entries.take(id);
            if (taken !== undefined) this.#endings.defer(taken, moment);
          }
          return ids.length;
        });
        if (count < queueLimits.deferAtOnce || this.#stopped) return;
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    this.#track(
      defer().catch((error) => this.#endings.inTrouble(error)),
      () => this.wake(),
    );
  }
}

/** Stands for a message that is lost, so that its sender can still be told. */
function noMessage(): MessageSource {
  return memorySource(new Uint8Array(0));
}
