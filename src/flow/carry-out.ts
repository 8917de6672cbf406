/**
 * Carries out the plan of an accepted message: its copies are stored, the rest goes to the queue. It always ends with
 * every part stored or durably queued; what cannot be done now is tried again for as long as the process lives, and the
 * journal keeps it beyond that.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../core/base/clock.ts';
import { describeError, errnoOf, OperationalError } from '../../core/base/errors.ts';
import type { Edit } from '../../core/mail/edit.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import { type Copy, createCopies } from '../delivery/copy.ts';
import { directoryOf, extraFields, store, storeNow, storeOnce } from '../delivery/deliver.ts';
import type { Finder } from '../delivery/find.ts';
import type { StoreAction, StoreResult } from '../delivery/store.ts';
import type { NewQueueEntry, Queue } from '../queue/queue.ts';
import type { Accepted, RememberedKey } from './accepted.ts';
import type { FileSystems, WrittenCopy } from './file-systems.ts';
import type { FlowLog } from './house.ts';
import { createGate, createTurns } from './turns.ts';

export interface DeliveryEvents {
  /** A copy lies in its mailbox; `result.present` when it lay there before a replay. */
  onStored?(event: {
    accepted: Accepted;
    action: StoreAction;
    result: StoreResult;
    sourceLength: number;
  }): void;
  /** A copy could not be stored and waits in the queue. */
  onDeferred?(event: { accepted: Accepted; action: StoreAction; error: unknown; sourceLength: number }): void;
}

export interface CarryOutOptions extends DeliveryEvents {
  /** Sets keys of plugins' state; called in the turn in which the mail is accepted, so that the next mail finds them. */
  readonly remember?: (keys: readonly RememberedKey[]) => Promise<void>;
  readonly queue: Pick<Queue, 'enqueue' | 'directory'>;
  readonly fileSystems: FileSystems;
  readonly clock: Clock;
  readonly log: FlowLog;
  /** Ends the tries to reach a queue that cannot be written: the journal keeps what they are about. */
  readonly signal: AbortSignal;
}

export interface Work {
  readonly accepted: Accepted;
  readonly source: MessageSource;
  /** Where copies are noted that will have to be synced one by one. */
  readonly written: WrittenCopy[];
  /** After a crash: copies may lie in their mailboxes already. */
  readonly finder?: Finder | undefined;
  /** Names of copies that our own servers removed since: they are not stored again. */
  readonly removed?: ReadonlySet<string>;
}

/**
 * Undefined when all was done before the call returned: small mail for a few mailboxes that nobody locks. Otherwise resolves
 * with true when all is done, with false when `signal` ended it before; never rejects.
 */
export type CarryOut = (work: Work) => Promise<boolean> | undefined;

/** Delays before another try to put into the queue what could not be stored. */
const retryMs = [1000, 2000, 5000, 10_000, 30_000];

export function createCarryOut(options: CarryOutOptions): CarryOut {
  const { fileSystems, log } = options;
  const turns = createTurns();
  const gate = createGate();

  /** Undefined when that copy needs waiting. */
  function tryNow(work: Work, action: StoreAction, copy: Copy): boolean {
    const result = storeNow(action, copy);
    if (result) stored(work, action, result);
    return result !== undefined;
  }

  function stored(work: Work, action: StoreAction, result: StoreResult): void {
    if (fileSystems.byPath) work.written.push({ action, path: result.path });
    options.onStored?.({ accepted: work.accepted, action, result, sourceLength: work.source.length });
  }

  async function storeWaiting(work: Work, action: StoreAction, copy: Copy): Promise<void> {
    stored(
      work,
      action,
      work.finder ? await storeOnce(action, copy, work.finder) : await store(action, copy),
    );
  }

  function deferred(work: Work, action: StoreAction, error: unknown): NewQueueEntry {
    const { accepted, source } = work;
    log.warn('delivery-deferred', {
      id: accepted.id,
      action: action.id,
      user: action.user,
      error: describeError(error),
    });
    options.onDeferred?.({ accepted, action, error, sourceLength: source.length });
    return entryOf(
      accepted,
      action.id,
      { kind: 'store', store: action },
      options.clock,
      describeError(error),
    );
  }

  /** The journal's record stands behind it until a checkpoint, which syncs whole file systems, or only what it is told of. */
  function enqueue(work: Work, entries: readonly NewQueueEntry[]): Promise<void> {
    if (fileSystems.byPath) return options.queue.enqueue(entries, work.source);
    fileSystems.cover(options.queue.directory);
    return options.queue.enqueue(entries, work.source, work.finder ? 'kept-again' : 'kept');
  }

  async function enqueueAtLast(work: Work, entries: readonly NewQueueEntry[]): Promise<boolean> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        await enqueue(work, entries);
        return true;
      } catch (error) {
        log.error('enqueue-failed', { id: work.accepted.id, error: describeError(error), attempt });
        const { signal } = options;
        await sleep(retryMs[Math.min(attempt, retryMs.length - 1)], undefined, { signal }).catch(nothing);
        if (signal.aborted) return false;
      }
    }
  }

  /** A key that cannot be set means mail that is taken for new once more: no reason to hold up this one. */
  async function rememberAtLast({ accepted: { id } }: Work, keys: readonly RememberedKey[]): Promise<void> {
    try {
      await options.remember?.(keys);
    } catch (error) {
      log.error('remember-failed', { id, error: describeError(error) });
    }
  }

  /** False when the rest has to wait for a later turn. */
  function storeInTurn(run: Run): boolean {
    const { work, copies } = run;
    const { accepted, source } = work;
    const octets = source.kind === 'memory' ? source.length : 0;
    while (run.next < accepted.stores.length) {
      if (!turns.take(octets)) return false;
      const planned = accepted.stores[run.next]!;
      run.next += 1;
      // A copy in an mbox is known by the id in its header.
      const known = planned.format === 'mbox' ? planned.id : planned.name;
      if (!work.removed?.has(known)) storeOne(run, copies, planned);
    }
    return true;
  }

  function storeOne({ work, waiting, entries }: Run, copies: Run['copies'], planned: StoreAction): void {
    let action = planned;
    try {
      action = withUsableFolder(planned, log);
      fileSystems.cover(directoryOf(action));
      const copy = copies(action, extraFields(action));
      if (!work.finder && tryNow(work, action, copy)) return;
      const begin = () => storeWaiting(work, action, copy);
      const defer = (error: unknown) => deferred(work, action, error);
      // A small copy for a locked mbox holds nothing open while it waits, and must not hold up others.
      const begun = work.finder || copy.kind === 'stream' ? gate(begin) : begin();
      const outcome = begun.then(nothing, defer);
      // `finish` hears of it, though perhaps in a later turn.
      outcome.catch(nothing);
      waiting.push(outcome);
    } catch (error) {
      entries.push(deferred(work, action, error));
    }
  }

  async function finish(run: Run): Promise<boolean> {
    const { work, waiting, entries } = run;
    while (!options.signal.aborted && !storeInTurn(run)) await turns.next();
    for (const outcome of await Promise.all(waiting)) if (outcome) entries.push(outcome);
    await run.remembering;
    // The journal keeps what is left.
    if (run.next < work.accepted.stores.length) return false;
    // Stores come first: whoever reads of a reply or a bounce finds the message it is about.
    for (const { id, work: planned } of work.accepted.queue) {
      entries.push(entryOf(work.accepted, id, planned, options.clock));
    }
    return entries.length === 0 || enqueueAtLast(work, entries);
  }

  return (work) => {
    const { accepted, source } = work;
    const { edits, envelope } = accepted;
    const copies = createCopies({ source, edits, smtputf8: envelope.smtputf8 });
    const remembering = accepted.remembered && rememberAtLast(work, accepted.remembered);
    const run: Run = { work, copies, next: 0, entries: [], waiting: [], remembering };
    const all = storeInTurn(run);
    const nothingLeft =
      run.waiting.length === 0 && run.entries.length === 0 && accepted.queue.length === 0 && !remembering;
    return all && nothingLeft ? undefined : finish(run);
  };
}

/** How far one message has got. */
interface Run {
  readonly work: Work;
  readonly copies: ReturnType<typeof createCopies>;
  /** Index of the store that is next. */
  next: number;
  /** What goes to the queue because it could not be stored. */
  readonly entries: NewQueueEntry[];
  readonly remembering: Promise<void> | undefined;
  /** Copies under way. */
  readonly waiting: Promise<NewQueueEntry | undefined>[];
}

/** A folder that cannot be is no reason to lose or to bounce what was accepted: it goes to INBOX. */
export function withUsableFolder(action: StoreAction, log: FlowLog): StoreAction {
  try {
    directoryOf(action);
    return action;
  } catch (error) {
    if (!(error instanceof OperationalError) || error.code !== 'folder-name') throw error;
    log.warn('folder-unusable', { action: action.id, folder: action.folder, user: action.user });
    return { ...action, folder: 'INBOX' };
  }
}

export function entryOf(
  accepted: Accepted,
  id: string,
  work: NewQueueEntry['work'],
  clock: Clock,
  lastError?: string,
): NewQueueEntry {
  const { futureRelease } = accepted.envelope;
  return {
    id,
    transactionId: accepted.id,
    work,
    envelope: accepted.envelope,
    edits: accepted.edits as readonly Edit[],
    createdAt: clock.now(),
    ...(work.kind === 'deliver' && futureRelease && { notBefore: futureRelease.at }),
    ...(lastError === undefined ? {} : { lastError }),
  };
}

/** True for errors of the outside world, which are answered; others are bugs. */
export function isOperational(error: unknown): boolean {
  return error instanceof OperationalError || errnoOf(error) !== undefined;
}

function nothing(): undefined {
  return undefined;
}
