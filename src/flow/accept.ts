/**
 * The moment of responsibility: when `accept` resolves, the message is on disk together with what was decided about it,
 * and the client may hear 250. Delivery follows at once and never takes that word back.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { readBootId } from '../../core/base/boot-id.ts';
import type { Clock } from '../../core/base/clock.ts';
import { describeError } from '../../core/base/errors.ts';
import { journalInlineBytesMax, unsettledMessagesMax } from '../../core/base/limits/flow.ts';
import { storageError, storageErrorOf } from '../../core/base/storage-error.ts';
import type { Edit } from '../../core/mail/edit.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import { createFinder } from '../delivery/find.ts';
import type { StoreAction, StoreResult } from '../delivery/store.ts';
import { createDirectorySync } from '../mailbox/directory-sync.ts';
import type { Queue } from '../queue/queue.ts';
import type { Accepted, AcceptedMessage } from './accepted.ts';
import { type CarryOutOptions, createCarryOut, type DeliveryEvents, isOperational } from './carry-out.ts';
import { createCheckpoint } from './checkpoint.ts';
import { createFileSystems, type FileSystems } from './file-systems.ts';
import type { FlowLog } from './house.ts';
import { createJournal, type JournalRecord } from './journal.ts';
import { createDoubt } from './journal-doubt.ts';
import { createJournalFiles } from './journal-files.ts';
import { createSegments } from './journal-segments.ts';
import { type JournalFile, writePlan } from './plan-text.ts';
import { queuedIn, type RecoveryReport, recoverJournal, rewriteSegments } from './replay.ts';
import { storeDurably } from './store-durably.ts';
import { storeQueued } from './store-queued.ts';

export interface AcceptanceOptions extends DeliveryEvents {
  /** Absolute; `journal` is made in it. */
  readonly dataDirectory: string;
  readonly durability: 'journal' | 'file';
  readonly journal: { readonly segmentBytes: number; readonly checkpointMs: number };
  readonly queue: Pick<Queue, 'enqueue' | 'directory' | 'settle' | 'renew'>;
  /** As carrying out needs it. */
  readonly remember?: CarryOutOptions['remember'];
  readonly log: FlowLog;
  readonly clock: Clock;
  /** Names the time since the kernel started; read from it when absent. */
  readonly bootId?: string;
  readonly fileSystems?: FileSystems;
  /** Of the replay after a crash. */
  readonly patienceMs?: number;
}

export interface Acceptance {
  /** Carries out what an earlier process accepted and did not finish. To be called before the first `accept`. */
  recover(): Promise<RecoveryReport>;
  /**
   * Resolves when the message is on disk. Releases `spooled` in every case, once its bytes are needed no more.
   * @throws OperationalError `storage-full` (452 4.3.1), `storage-failed` (451 4.3.0): then it is not accepted
   */
  accept(message: AcceptedMessage): Promise<void>;
  /**
   * Stores a copy from the queue that failed before, on disk when it resolves; idempotent by the action's name.
   * @throws OperationalError and system errors when it failed again
   */
  store(
    action: StoreAction,
    edits: readonly Edit[],
    source: MessageSource,
    smtputf8?: boolean,
  ): Promise<StoreResult>;
  /** Waits a while until everything accepted is delivered or queued, and on disk; what is not stays in the journal. */
  drain(): Promise<void>;
  /** Ends the journal; what is not done stays in it for the next start. */
  close(): Promise<void>;
}

export function createAcceptance(options: AcceptanceOptions): Acceptance {
  const { log } = options;
  const closing = new AbortController();
  const directory = join(options.dataDirectory, 'journal');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const directorySync = createDirectorySync();
  const bootId = options.bootId ?? readBootId();
  const segmentBytes = options.journal.segmentBytes;
  const segments = createSegments({ directory, segmentBytes, directorySync });
  const journal = createJournal({ segments, segmentBytes, bootId, log });
  const files = createJournalFiles(join(directory, 'messages'), directorySync);
  const fileSystems = options.fileSystems ?? createFileSystems();
  const doubt = createDoubt(directory);
  const carryOut = createCarryOut({ ...options, fileSystems, signal: closing.signal });
  const checkpoint = createCheckpoint({
    journal,
    doubt,
    fileSystems,
    intervalMs: options.journal.checkpointMs,
    log,
    removeFiles: (names) => {
      for (const name of names) files.remove(name);
    },
    rewrite: async (used) => {
      await rewriteSegments(used, files.directory);
      await options.queue.renew(queuedIn(used, files.directory));
    },
  });
  const inlineBytesMax = Math.min(journalInlineBytesMax, Math.floor(segmentBytes / 4));
  /** Messages on disk whose delivery or queueing goes on. */
  const unsettled = new Set<Promise<void>>();

  async function acceptByJournal({ accepted, source, spooled, repeated }: AcceptedMessage): Promise<void> {
    const kept: JournalFile[] = [];
    let record: JournalRecord;
    try {
      record = await journal.append(await journalEntry(accepted, source, spooled, kept));
    } catch (error) {
      for (const { name } of kept) files.remove(name);
      spooled?.release();
      throw isOperational(error) ? storageError(error, 'accept message') : error;
    }
    record.segment.files.push(...kept.map(({ name }) => name));
    const end = (all = true) => {
      if (all) journal.done(record);
      spooled?.release();
    };
    // A file that is not released here belongs to somebody who may remove it as soon as this resolves: the queue.
    const lasting = source.kind === 'file' && !spooled ? files.sourceOf(kept[0]!) : source;
    const finder = repeated ? createFinder() : undefined;
    const broken = (error: unknown) => {
      // A bug; yet it is on disk, and that is what the client hears. The record is not done: the next start carries it out.
      log.error('carry-out-broken', { id: accepted.id, error: describeError(error) });
      spooled?.release();
    };
    let work: Promise<boolean> | undefined;
    try {
      work = carryOut({ accepted, source: lasting, written: record.segment.written, finder });
    } catch (error) {
      return broken(error);
    }
    if (!work) return end();
    const settled = work
      .then(end)
      .catch(broken)
      .finally(() => unsettled.delete(settled));
    unsettled.add(settled);
  }

  /** The record's octets; what is too large for it is synced to files first, named in `kept`, the message before the plan. */
  async function journalEntry(
    accepted: Accepted,
    source: MessageSource,
    spooled: AcceptedMessage['spooled'],
    kept: JournalFile[],
  ): Promise<{ plan: Buffer; body: Uint8Array; bodyCrc32: number }> {
    const inMemory =
      source.kind === 'memory' ? new Uint8Array(source.buffer, source.offset, source.length) : undefined;
    const checksum = inMemory ? crc32(inMemory) : 0;
    if (inMemory && spooled && checksum !== spooled.crc32) {
      log.error('message-altered', { id: accepted.id, received: spooled.crc32, found: checksum });
      throw storageErrorOf('storage-failed', 'the message was altered in memory', { id: accepted.id });
    }
    let plan = writePlan({ accepted });
    let body: Uint8Array = inMemory ?? nothing;
    if (source.kind === 'file' || body.length > inlineBytesMax) {
      const file =
        source.kind === 'file'
          ? await files.keepFile(accepted.id, source.path, source.length, spooled?.sha256)
          : await files.keepBytes(accepted.id, body);
      kept.push(file);
      plan = writePlan({ accepted, bodyFile: file });
      body = nothing;
    }
    if (plan.length > inlineBytesMax) {
      const planFile = await files.keepBytes(accepted.id, plan);
      kept.push(planFile);
      plan = writePlan({ planFile });
    }
    return { plan, body, bodyCrc32: body === nothing ? 0 : checksum };
  }

  async function acceptByFile({ accepted, source, spooled, repeated }: AcceptedMessage): Promise<void> {
    try {
      const finder = repeated ? createFinder() : undefined;
      await storeDurably(accepted, source, { ...options, directorySync, finder });
    } finally {
      spooled?.release();
    }
  }

  return {
    async recover() {
      const report = await recoverJournal({
        directory,
        files,
        journal,
        segments,
        bootId,
        doubt,
        fileSystems,
        queue: options.queue,
        carryOut,
        log,
        patienceMs: options.patienceMs,
      });
      if (options.durability === 'journal') await segments.prepared().catch(() => undefined);
      checkpoint.start();
      return report;
    },
    async accept(message) {
      if (unsettled.size >= unsettledMessagesMax) {
        message.spooled?.release();
        throw storageErrorOf('storage-full', 'too many deliveries wait', { waiting: unsettled.size });
      }
      return options.durability === 'file' ? acceptByFile(message) : acceptByJournal(message);
    },
    store: (action, edits, source, smtputf8 = false) =>
      storeQueued({ action, edits, source, smtputf8, directorySync }),
    async drain() {
      await options.queue.settle();
      await Promise.race([Promise.all(unsettled), sleep(drainMs, undefined, { ref: false })]);
      // The first may be one that began before; a failed one is followed by one that writes copies again.
      for (let round = 0; round < 3 && !(await checkpoint.run(true)); round += 1);
    },
    async close() {
      closing.abort();
      await checkpoint.stop();
      await journal.close();
      segments.close();
      fileSystems.close();
    },
  };
}

/** What waits for longer (a locked mbox, a queue that cannot be written) is for the next start. */
const drainMs = 20_000;
const nothing = new Uint8Array(0);
