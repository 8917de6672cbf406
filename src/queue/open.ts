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
 * Every change is one transaction. Whoever asked for it is answered when it is on disk, with three exceptions that a power
 * cut may take back: `waiting -> active`; `gone` of mail that was sent, which is then sent once more; and what somebody
 * keeps for us (`Backing`), the journal, who replays it. Such a message need not have a file: most mail is sent within a
 * moment and is never written here. Otherwise its file is there before its first entry, and after its last is gone on disk.
 */
import { existsSync } from 'node:fs';
import { open as openFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../../core/base/clock.ts';
import { OperationalError } from '../../core/base/errors.ts';
import { queueLimits } from '../../core/base/limits/outbound.ts';
import type { Log } from '../../core/base/log.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import { CommitGroup } from '../../core/state/commit-group.ts';
import { openDatabase } from '../../core/state/sqlite-file.ts';
import { Entries } from './entries.ts';
import { ownLane } from './lanes.ts';
import { fileName, MessageFiles, messageFormat } from './message-files.ts';
import { Messages } from './messages.ts';
import type {
  Backing,
  NewQueueEntry,
  Queue,
  QueueEntry,
  QueueFilter,
  QueueHandlers,
  QueueStatus,
  QueueSummaryRow,
  Replay,
} from './queue.ts';
import { Rows } from './rows.ts';
import { retryDelayMs } from './schedule.ts';
import { steps } from './tables.ts';
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
  // The server goes on meanwhile: each look is one of its moments, and nothing is remembered from the one before.
  const look = <Seen>(read: (rows: Rows) => Seen): Seen => {
    database.exec('BEGIN');
    try {
      return read(new Rows(database));
    } finally {
      database.exec('COMMIT');
    }
  };
  return {
    list: (filter = {}) => look((rows) => rows.list(filter)),
    count: () => look((rows) => rows.count()),
    summary: () => look((rows) => rows.summary(queueLimits.listMax)),
    get: (id) => {
      const entry = look((rows) => rows.find(id));
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
  readonly #messages: Messages;
  readonly #wal: WalSync;
  readonly #group: CommitGroup;
  readonly #expireMs: number;
  #worker: QueueWorker | undefined;
  #forgetTimer: NodeJS.Timeout | undefined;
  #foldersSynced = false;
  #closing: Promise<void> | undefined;

  constructor(init: QueueInit, database: DatabaseSync, entries: Entries, files: MessageFiles, wal: WalSync) {
    this.#init = init;
    this.#database = database;
    this.#entries = entries;
    this.#wal = wal;
    this.#group = new CommitGroup(database, () => this.#sync());
    this.#expireMs = init.expireSeconds * 1000;
    const { clock, log } = init;
    this.#messages = new Messages({
      entries,
      files,
      group: this.#group,
      sync: () => this.#sync(),
      expireMs: this.#expireMs,
      clock,
      log,
    });
  }

  get directory(): string {
    return this.#init.directory;
  }

  async enqueue(entries: readonly NewQueueEntry[], source: MessageSource, backing?: Backing): Promise<void> {
    const [first] = entries;
    if (first === undefined) return;
    if (entries.some(({ transactionId }) => transactionId !== first.transactionId)) {
      throw new TypeError('entries of one call belong to one transaction');
    }
    await this.#messages.add(this.#waiting(entries), source, backing, () => this.#worker?.wake());
  }

  settle(): Promise<void> {
    return this.#messages.settle();
  }

  async renew(messages: Parameters<Queue['renew']>[0]): Promise<void> {
    await this.#messages.renew(messages);
    this.#wal.distrust();
    await this.#group.run(() => {});
  }

  /** Recipients who just said "later" are not asked again at once. */
  #waiting(entries: readonly NewQueueEntry[]): readonly NewQueueEntry[] {
    return entries.map((entry) => {
      if (entry.work.kind !== 'deliver' || entry.notBefore !== undefined) return entry;
      return { ...entry, notBefore: this.#init.clock.now() + retryDelayMs(this.#init, 1, Math.random()) };
    });
  }

  start(handlers: QueueHandlers, replay?: Replay): void {
    const { retrySeconds, expireSeconds, delayNoticeSeconds = 0, clock, log } = this.#init;
    const { concurrency = queueLimits.ownAtOnce, outbound = outboundDefaults } = this.#init;
    this.#worker = new QueueWorker(
      {
        entries: this.#entries,
        messages: this.#messages,
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
        finish: (ids, before) => this.#finish(ids, before).then(() => {}),
        finishSoon: (ids) => this.#finishSoon(ids),
      },
      handlers,
    );
    this.#messages.follow(replay);
    this.#worker.wake();
    this.#forgetTimer = setInterval(() => this.#forgetDone(), 60_000).unref();
  }

  list(filter: QueueFilter = {}): QueueEntry[] {
    return this.#entries.rows.list(filter);
  }

  get(id: string): { entry: QueueEntry; source: MessageSource } | undefined {
    const entry = this.#entries.rows.find(id);
    if (entry === undefined) return undefined;
    return { entry, source: this.#messages.place(entry.transactionId, entry.length) };
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
    await this.#messages.close(() => this.#group.drain());
    this.#wal.close();
    this.#database.close();
  }

  /** @param lostDirectory where messages go that no entry speaks of, when the database is new: their entries are gone */
  recover(lostDirectory: string | undefined): void {
    const { clock, log } = this.#init;
    const entries = this.#entries;
    this.#inBatches(() => entries.rebase(clock.now(), queueLimits.batchEntries));
    const interrupted = this.#inBatches(() => this.#resumeAbandoned());
    if (interrupted > 0) log.warn('queue-attempts-interrupted', { entries: interrupted });
    const strays = this.#messages.sweep(lostDirectory);
    if (strays > 0 && lostDirectory !== undefined)
      log.error('queue-messages-lost', { files: strays, movedTo: lostDirectory });
    else if (strays > 0) log.info('queue-files-removed', { files: strays });
  }

  /** An attempt that a crash cut off counts as one, so that a message that brings the server down is not tried without pause. */
  #resumeAbandoned(): number {
    const now = this.#init.clock.now();
    // One for all: what was sent, or told, together goes together again.
    const random = Math.random();
    const found = this.#entries.abandoned(queueLimits.batchEntries);
    for (const { id, attempts } of found) {
      const at = now + retryDelayMs(this.#init, attempts, random);
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
    if (last !== undefined) await this.#messages.remove(last);
    return found;
  }

  /** As `#finish`, on disk a moment later: a power cut before that has them sent once more. */
  async #finishSoon(ids: readonly string[]): Promise<void> {
    const { last } = await this.#group.runUnsynced(() => this.#end(ids));
    this.#messages.syncSoon(last);
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
