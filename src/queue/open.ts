/**
 * The queue on disk: `messages/`, one file per transaction, and `queue.db` with what is to be done with them.
 *
 * | state   | means                                    | becomes                                                          |
 * |---------|------------------------------------------|------------------------------------------------------------------|
 * | (none)  | not here, and not done                   | waiting: enqueue; held: enqueue of work `held`                     |
 * | waiting | due at nextAttemptAt                     | active: due; held: hold; gone: remove; waiting, failed (expired): |
 * |         |                                          | its destination rests                                            |
 * | active  | an attempt, or a bounce, is running      | gone: done, told; waiting: retry, crash; failed: failed, expired, |
 * |         |                                          | not told, crash while telling; held: hold, nobody to tell        |
 * | held    | waits for an operator                    | waiting: release; gone: remove, or done by an attempt that ran   |
 * | failed  | given up, the sender is yet to be told   | active: due (at once, then as retries); waiting: retry; held: hold; gone: remove |
 * | gone    | no entry; the id is remembered for days  | never anything else: enqueue of that id does nothing             |
 *
 * An entry waits in the lane of its destination (lanes.ts says whose turn it is); once failed, in our own. What the sender
 * is to hear of mail that did not fail is an entry of kind `notice`, made in the transaction that ends or delays the other.
 * Every change is one transaction. Whoever asked for it is answered when it is on disk; only `waiting -> active` is not
 * waited for. The message file is on disk before its first entry and removed after its last is gone on disk.
 */
import { existsSync } from 'node:fs';
import { open as openFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../../core/base/clock.ts';
import { describeError, OperationalError } from '../../core/base/errors.ts';
import { queueLimits } from '../../core/base/limits/outbound.ts';
import type { Log } from '../../core/base/log.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import { CommitGroup } from '../../core/state/commit-group.ts';
import { openDatabase } from '../../core/state/sqlite-file.ts';
import { Entries } from './entries.ts';
import { ownLane } from './lanes.ts';
import { fileName, MessageFiles, messageFormat, unwritten } from './message-files.ts';
import type {
  Backing,
  NewQueueEntry,
  Queue,
  QueueEntry,
  QueueFilter,
  QueueHandlers,
  QueueStatus,
  QueueSummaryRow,
} from './queue.ts';
import { retryDelayMs } from './schedule.ts';
import { steps } from './tables.ts';
import { Unwritten } from './unwritten.ts';
import { WalSync } from './wal-sync.ts';
import { QueueWorker } from './worker.ts';

export interface QueueInit {
  /** Absolute; made when missing. One process at a time may open it for writing. */
  readonly directory: string;
  readonly retrySeconds: readonly number[];
  readonly expireSeconds: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly delayNoticeSeconds?: number;
  /** Attempts of our own work at once. */
  readonly concurrency?: number;
  /** Attempts for other hosts. */
  readonly outbound?: OutboundLimits;
}

export interface OutboundLimits {
  readonly connections: number;
  readonly connectionsPerDestination: number;
  readonly messagesPerMinute: number;
  readonly recipientsPerMessage: number;
  readonly destinations: Readonly<
    Record<string, { readonly connections?: number; readonly messagesPerMinute?: number }>
  >;
}

const outboundDefaults: OutboundLimits = {
  connections: 100,
  connectionsPerDestination: 20,
  messagesPerMinute: 0,
  recipientsPerMessage: 100,
  destinations: {},
};

/** Opens the queue and puts right what a crash left. Throws OperationalError; never begins anew over a damaged database. */
export function openQueue(init: QueueInit): Queue {
  const path = join(init.directory, 'queue.db');
  const begun = existsSync(path);
  const database = openQueueDatabase(path);
  const entries = new Entries(database);
  if (entries.rows.newestFormat() > messageFormat) {
    database.close();
    throw newerMessages(path);
  }
  const files = new MessageFiles(join(init.directory, 'messages'));
  // The log exists once something was read or written.
  entries.rows.count();
  const wal = new WalSync(database, path);
  const queue = new DiskQueue(init, database, entries, files, wal);
  queue.recover(begun ? undefined : join(init.directory, 'lost'));
  return queue;
}

/** Looks into the queue of another process, changing nothing. Throws OperationalError when there is none. */
export function readQueue(
  directory: string,
): Pick<Queue, 'list' | 'count' | 'summary' | 'get'> & { close(): void } {
  const path = join(directory, 'queue.db');
  const database = openDatabase({ path, steps, synchronous: 'normal', readOnly: true });
  const entries = new Entries(database);
  return {
    list: (filter = {}) => entries.rows.list(filter),
    count: () => entries.rows.count(),
    summary: () => entries.rows.summary(queueLimits.listMax),
    get: (id) => {
      const entry = entries.rows.find(id);
      const path = entry && join(directory, 'messages', fileName(entry.transactionId));
      return entry && { entry, source: { kind: 'file', path: path!, length: entry.length } };
    },
    close: () => database.close(),
  };
}

function newerMessages(path: string): OperationalError {
  return new OperationalError(
    'queue-newer',
    `${path} holds messages in the format of a newer version: run that version until the queue is empty, then this one`,
    { temporary: false, facts: { file: path } },
  );
}

function openQueueDatabase(path: string): DatabaseSync {
  try {
    return openDatabase({ path, steps, synchronous: 'normal' });
  } catch (error) {
    if (!(error instanceof OperationalError) || error.code !== 'database-corrupt') throw error;
    throw new OperationalError(
      'queue-corrupt',
      `${error.message}. It holds mail: recover it with "sqlite3 ${path} .recover", or move it away; the messages are then kept in lost/`,
      { temporary: false, facts: error.facts, cause: error },
    );
  }
}

class DiskQueue implements Queue {
  readonly #init: QueueInit;
  readonly #database: DatabaseSync;
  readonly #entries: Entries;
  readonly #files: MessageFiles;
  readonly #wal: WalSync;
  readonly #group: CommitGroup;
  readonly #expireMs: number;
  readonly #unwritten = new Unwritten();
  /** Transactions whose last entry is gone, though perhaps not yet on disk. */
  #gone: string[] = [];
  #goneTimer: NodeJS.Timeout | undefined;
  #worker: QueueWorker | undefined;
  #unwrittenTimer: NodeJS.Timeout | undefined;
  #forgetTimer: NodeJS.Timeout | undefined;
  #foldersSynced = false;
  #closed = false;
  #closing: Promise<void> | undefined;

  constructor(init: QueueInit, database: DatabaseSync, entries: Entries, files: MessageFiles, wal: WalSync) {
    this.#init = init;
    this.#database = database;
    this.#entries = entries;
    this.#files = files;
    this.#wal = wal;
    this.#group = new CommitGroup(database, () => this.#sync());
    this.#expireMs = init.expireSeconds * 1000;
  }

  get directory(): string {
    return this.#init.directory;
  }

  async enqueue(entries: readonly NewQueueEntry[], source: MessageSource, backing?: Backing): Promise<void> {
    const transactionId = entries[0]?.transactionId;
    if (transactionId === undefined) return;
    if (entries.some((entry) => entry.transactionId !== transactionId)) {
      throw new TypeError('entries of one call belong to one transaction');
    }
    if (backing === 'kept' && this.#mayStayUnwritten(entries, source)) {
      return this.#enqueueUnwritten(transactionId, entries, source);
    }
    const known = entries.every(({ id }) => this.#entries.rows.isKnown(id));
    const unpin = this.#files.pin(transactionId);
    let wrote = false;
    let added = 0;
    try {
      if (this.#needsFile(transactionId, known, backing)) {
        wrote = true;
        await this.#files.write(transactionId, source, backing === undefined);
      }
      const entriesNow = this.#waiting(entries);
      const add = () => {
        const added = this.#entries.add(entriesNow, source, this.#expireMs, this.#init.clock.now());
        if (wrote) this.#entries.setWritten(transactionId);
        return added;
      };
      // Also where nothing is new: what an earlier call began may not be on disk yet.
      added = await (backing === undefined ? this.#group.run(add) : this.#group.runUnsynced(add));
      if (wrote) this.#unwritten.settle(transactionId);
    } finally {
      unpin();
      if (wrote && added === 0) await this.#takeBack(transactionId);
    }
    this.#worker?.wake();
  }

  async settle(): Promise<void> {
    await this.#writeUnwritten(Number.POSITIVE_INFINITY);
  }

  async renew(messages: Parameters<Queue['renew']>[0]): Promise<void> {
    for await (const { transactionId, source } of messages) {
      if (!this.#entries.rows.isWritten(transactionId)) continue;
      const unpin = this.#files.pin(transactionId);
      try {
        await this.#files.write(transactionId, source);
      } finally {
        unpin();
        await this.#removeUnused(transactionId);
      }
    }
    this.#wal.distrust();
    await this.#group.run(() => {});
  }

  /** A file of an earlier call that a crash cut off may be there and yet not be whole. */
  #needsFile(transactionId: string, known: boolean, backing: Backing | undefined): boolean {
    if (backing === 'kept-again' && this.#entries.rows.hasMessage(transactionId)) return true;
    return !known && !this.#entries.rows.isWritten(transactionId);
  }

  /** Mail that is sent at once; what waits anyway is written at once. */
  #mayStayUnwritten(
    entries: readonly NewQueueEntry[],
    source: MessageSource,
  ): source is MessageSource & { kind: 'memory' } {
    return (
      this.#unwritten.hasRoomFor(source) &&
      !this.#entries.rows.hasMessage(entries[0]!.transactionId) &&
      entries.every(({ work, notBefore }) => work.kind === 'relay' && notBefore === undefined)
    );
  }

  async #enqueueUnwritten(
    transactionId: string,
    entries: readonly NewQueueEntry[],
    source: MessageSource & { kind: 'memory' },
  ): Promise<void> {
    const { clock } = this.#init;
    const settled = this.#unwritten.keep(transactionId, source, entries.length, clock.monotonicMs());
    const format = unwritten;
    try {
      const added = await this.#group.runUnsynced(() =>
        this.#entries.add(entries, { length: source.length, format }, this.#expireMs, clock.now()),
      );
      if (added === 0) this.#unwritten.settle(transactionId);
    } catch (error) {
      this.#unwritten.settle(transactionId);
      throw error;
    }
    this.#worker?.wake();
    this.#unwrittenTimer ??= setTimeout(() => this.#lookAtUnwritten(), queueLimits.unwrittenLookMs);
    return settled;
  }

  #lookAtUnwritten(): void {
    const before = this.#init.clock.monotonicMs() - queueLimits.unwrittenMs;
    this.#writeUnwritten(before).finally(() => {
      const again = this.#unwritten.size > 0 && !this.#closed;
      this.#unwrittenTimer = again
        ? setTimeout(() => this.#lookAtUnwritten(), queueLimits.unwrittenLookMs)
        : undefined;
    });
  }

  /** Never rejects: what cannot be written is tried again, and the journal keeps it meanwhile. */
  async #writeUnwritten(before: number): Promise<void> {
    for (const transactionId of this.#unwritten.olderThan(before)) {
      const source = this.#unwritten.get(transactionId);
      if (source === undefined) continue;
      const unpin = this.#files.pin(transactionId);
      try {
        await this.#files.write(transactionId, source, false);
        await this.#group.runUnsynced(() => this.#entries.setWritten(transactionId));
        this.#unwritten.settle(transactionId);
      } catch (error) {
        this.#init.log.error('queue-write-failed', { id: transactionId, error: describeError(error) });
      } finally {
        unpin();
        await this.#removeUnused(transactionId);
      }
    }
  }

  /** Recipients who just said "later" are not asked again at once. */
  #waiting(entries: readonly NewQueueEntry[]): readonly NewQueueEntry[] {
    return entries.map((entry) => {
      if (entry.work.kind !== 'deliver' || entry.notBefore !== undefined) return entry;
      return { ...entry, notBefore: this.#init.clock.now() + retryDelayMs(this.#init, 1, Math.random()) };
    });
  }

  start(handlers: QueueHandlers): void {
    const { retrySeconds, expireSeconds, delayNoticeSeconds = 0, clock, log } = this.#init;
    const { concurrency = queueLimits.ownAtOnce, outbound = outboundDefaults } = this.#init;
    this.#worker = new QueueWorker(
      {
        entries: this.#entries,
        files: this.#files,
        group: this.#group,
        schedule: { retrySeconds, expireSeconds, delayNoticeSeconds },
        lanes: {
          own: concurrency,
          total: outbound.connections,
          of: (destination) => limitsFor(destination, outbound),
        },
        groupMax: outbound.recipientsPerMessage,
        clock,
        log,
        unwritten: this.#unwritten,
        finish: (ids, before) => this.#finish(ids, before).then(() => {}),
        finishSoon: (ids) => this.#finishSoon(ids),
      },
      handlers,
    );
    this.#missMessages();
    this.#worker.wake();
    this.#forgetTimer = setInterval(() => this.#forgetDone(), 60_000).unref();
  }

  list(filter: QueueFilter = {}): QueueEntry[] {
    return this.#entries.rows.list(filter);
  }

  get(id: string): { entry: QueueEntry; source: MessageSource } | undefined {
    const entry = this.#entries.rows.find(id);
    if (entry === undefined) return undefined;
    const path = this.#files.path(entry.transactionId);
    const source = this.#unwritten.get(entry.transactionId);
    return { entry, source: source ?? { kind: 'file', path, length: entry.length } };
  }

  count(): Record<QueueStatus, number> {
    return this.#entries.rows.count();
  }

  summary(): QueueSummaryRow[] {
    return this.#entries.rows.summary(queueLimits.listMax);
  }

  resting(): { destination: string; until: number }[] {
    return this.#worker?.resting() ?? [];
  }

  retry(id: string): Promise<boolean> {
    const destination = this.#entries.rows.find(id)?.destination ?? ownLane;
    if (destination !== ownLane) this.#worker?.wakeDestination(destination);
    return this.#change(() => this.#entries.retry(id, this.#init.clock.now()));
  }

  hold(id: string, reason: string): Promise<boolean> {
    return this.#change(() => this.#entries.hold(id, reason));
  }

  release(id: string): Promise<boolean> {
    return this.#change(() => this.#entries.release(id, this.#expireMs, this.#init.clock.now()));
  }

  async remove(id: string): Promise<boolean> {
    return this.#finish([id]);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearInterval(this.#forgetTimer);
    await this.#worker?.stop();
    await this.settle();
    clearTimeout(this.#unwrittenTimer);
    await this.#group.drain();
    await this.#removeGone();
    this.#closed = true;
    this.#wal.close();
    this.#database.close();
    this.#files.close();
  }

  /** @param lostDirectory where messages go that no entry speaks of, when the database is new: their entries are gone */
  recover(lostDirectory: string | undefined): void {
    const { clock, log } = this.#init;
    const entries = this.#entries;
    this.#inBatches(() => entries.rebase(clock.now(), queueLimits.batchEntries));
    const interrupted = this.#inBatches(() => this.#resumeAbandoned());
    if (interrupted > 0) log.warn('queue-attempts-interrupted', { entries: interrupted });
    const known = new Set<string>();
    for (const { id } of entries.rows.messages()) {
      known.add(fileName(id));
    }
    const strays = this.#files.sweep({ known: (name) => known.has(name), lostDirectory });
    if (strays > 0 && lostDirectory !== undefined)
      log.error('queue-messages-lost', { files: strays, movedTo: lostDirectory });
    else if (strays > 0) log.info('queue-files-removed', { files: strays });
  }

  /** Said once the journal was replayed, which brings back what it kept for the queue. */
  #missMessages(): void {
    for (const { id } of this.#entries.rows.messages()) {
      const file = this.#files.path(id);
      if (!this.#unwritten.get(id) && !existsSync(file)) {
        this.#init.log.error('queue-message-missing', { id, file });
      }
    }
  }

  /** An attempt that a crash cut off counts as one, so that a message that brings the server down is not tried without pause. */
  #resumeAbandoned(): number {
    const now = this.#init.clock.now();
    const found = this.#entries.abandoned(queueLimits.batchEntries);
    for (const { id, attempts } of found) {
      const at = now + retryDelayMs(this.#init, attempts, Math.random());
      this.#entries.postpone(id, 'interrupted: the server ended during the attempt', at, now);
    }
    return found.length;
  }

  /** Runs until it answers 0, each time in a transaction of its own. */
  #inBatches(work: () => number): number {
    let total = 0;
    for (;;) {
      this.#database.exec('BEGIN IMMEDIATE');
      const done = work();
      this.#database.exec('COMMIT');
      if (done === 0) return total;
      total += done;
    }
  }

  async #change(work: () => boolean): Promise<boolean> {
    const changed = await this.#group.run(work);
    this.#worker?.wake();
    return changed;
  }

  /** Entries of one message; their end is on disk when it resolves. */
  async #finish(ids: readonly string[], before = () => {}): Promise<boolean> {
    const { found, last } = await this.#group.run(() => {
      before();
      return this.#end(ids);
    });
    if (last !== undefined) await this.#removeUnused(last);
    return found;
  }

  /** As `#finish`, on disk a moment later: a power cut before that has them sent once more. */
  async #finishSoon(ids: readonly string[]): Promise<void> {
    const { last } = await this.#group.runUnsynced(() => this.#end(ids));
    if (last === undefined) return;
    // It never had a file, and the journal's checkpoint will sync what was just written.
    if (this.#unwritten.get(last) !== undefined && !this.#files.isPinned(last)) {
      this.#unwritten.settle(last);
      return;
    }
    this.#gone.push(last);
    this.#goneTimer ??= setTimeout(() => this.#removeGone(), queueLimits.removeAfterMs);
  }

  /** Within a transaction. Answers whether there was one, and the message where they were its last. */
  #end(ids: readonly string[]): { found: boolean; last: string | undefined } {
    const now = this.#init.clock.now();
    let found = false;
    let last: string | undefined;
    for (const id of ids) {
      const ended = this.#entries.finish(id, now);
      if (ended === undefined) continue;
      found = true;
      last = ended.last ?? last;
    }
    return { found, last };
  }

  /** Never before the end of the entries is on disk: they would come back after a power cut, and their message not. */
  async #removeGone(): Promise<void> {
    clearTimeout(this.#goneTimer);
    this.#goneTimer = undefined;
    const gone = this.#gone;
    this.#gone = [];
    if (gone.length === 0) return;
    try {
      await this.#sync();
    } catch (error) {
      // The next start removes them.
      this.#init.log.warn('queue-files-left', { messages: gone.length, error: describeError(error) });
      return;
    }
    await Promise.all(gone.map((transactionId) => this.#removeUnused(transactionId)));
  }

  /** Removes a file that was written for nothing, once nothing that is not yet committed can bring its entries back. */
  async #takeBack(transactionId: string): Promise<void> {
    try {
      await this.#group.run(() => {});
    } catch {
      // A database that refuses writes cannot tell; the next start removes the file.
      return;
    }
    await this.#removeUnused(transactionId);
  }

  /** Removes the message file unless an entry, or a call under way, still needs it. */
  async #removeUnused(transactionId: string): Promise<void> {
    if (this.#closed || this.#files.isPinned(transactionId) || this.#entries.rows.hasMessage(transactionId))
      return;
    this.#unwritten.settle(transactionId);
    try {
      await this.#files.remove(transactionId);
    } catch (error) {
      const file = this.#files.path(transactionId);
      this.#init.log.warn('queue-file-left', { id: transactionId, file, error: describeError(error) });
    }
  }

  async #sync(): Promise<void> {
    await this.#wal.sync();
    if (this.#foldersSynced) return;
    // The names of the folder, the database and its log must be on disk too; once is enough, they stay.
    for (const folder of [this.#init.directory, dirname(this.#init.directory)]) {
      const handle = await openFile(folder, 'r');
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    }
    this.#foldersSynced = true;
  }

  #forgetDone(): void {
    const before = this.#init.clock.now() - queueLimits.rememberDoneMs;
    this.#group
      .runUnsynced(() => this.#entries.forgetDone(before, queueLimits.batchEntries))
      .catch((error: Error) => this.#init.log.warn('queue-forget-failed', { error: error.message }));
  }
}

function limitsFor(destination: string, outbound: OutboundLimits): { window: number; perMinute: number } {
  const own = outbound.destinations[destination];
  return {
    window: own?.connections ?? outbound.connectionsPerDestination,
    perMinute: own?.messagesPerMinute ?? outbound.messagesPerMinute,
  };
}
