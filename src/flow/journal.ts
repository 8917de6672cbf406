/**
 * The journal: what was accepted is appended and synced before the client hears 250. One writev and one fdatasync serve
 * all that wait; the next group forms while they run. No timer: a lone message is synced at once.
 *
 *     append ─▶ waiting ─▶ [group: writev, fdatasync] ─▶ resolved      one group at a time
 *                 ▲                                         │
 *                 └───────── more arrive meanwhile ◀────────┘
 *
 * After a failed write or sync the segment is abandoned: a later sync of the same pages may report success for octets
 * that never reached the disk. The records synced before stay good; the next group goes to a fresh segment.
 */
import { closeSync, fdatasync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { errnoOf } from '../../core/base/errors.ts';
import {
  journalBacklogBytesMax,
  journalBacklogRecordsMax,
  journalBlockingWriteBytesMax,
  journalGroupBytesMax,
  journalGroupRecordsMax,
} from '../../core/base/limits/flow.ts';
import { storageError, storageErrorOf } from '../../core/base/storage-error.ts';
import { writeAll, writeAllSync } from '../../core/base/write-all.ts';
import type { WrittenCopy } from './file-systems.ts';
import type { FlowLog } from './house.ts';
import { createDoneMarks, type DoneMarks } from './journal-done.ts';
import { blockBytes, encodeRecord, groupPadding, recordLength } from './journal-record.ts';
import { doneName, type SegmentFile, type Segments } from './journal-segments.ts';

const syncData = promisify(fdatasync);

export interface JournalEntry {
  readonly plan: Buffer;
  /** Empty when the message lies in a file. Must not change until the promise settles. */
  readonly body: Uint8Array;
  readonly bodyCrc32: number;
}

/** One record on disk, not done yet. */
export interface JournalRecord {
  readonly segment: UsedSegment;
  readonly sequence: number;
}

export interface Journal {
  /** Resolves when the record is on disk. @throws OperationalError `storage-full`, `storage-failed`: then it is not, and will not be */
  append(entry: JournalEntry): Promise<JournalRecord>;
  /** Everything the record plans is delivered or in the queue. */
  done(record: JournalRecord): void;
  /** Ends the use of the segment that is written to, when it has records and, unless `last`, another is ready. */
  seal(last: boolean): void;
  /** Segments that are not written to any more and whose records are all done. */
  finished(): UsedSegment[];
  /** All segments with records that were not let go of. */
  used(): UsedSegment[];
  /** Lets go of a finished segment, once a sync that began after it was finished has put its deliveries on disk. */
  retire(segment: UsedSegment): Promise<void>;
  /** Takes in what recovery found: its records count as not done. */
  adopt(segment: { path: string; bytes: number; records: number }): UsedSegment;
  readonly segments: number;
  /** Waits for the groups that wait; then nothing can be appended. */
  close(): Promise<void>;
}

export interface UsedSegment {
  readonly path: string;
  readonly bytes: number;
  /** Undefined once closed, and for those of an earlier process. */
  fd: number | undefined;
  /** Records on disk or on their way that are not done. */
  undone: number;
  /** Octets written. */
  end: number;
  nextSequence: number;
  sealed: boolean;
  failed: boolean;
  readonly marks: DoneMarks;
  /** Names of message files that its records refer to. */
  readonly files: string[];
  /** Copies that its records led to, where they are synced one by one. */
  readonly written: WrittenCopy[];
  readonly file?: SegmentFile;
}

interface Waiting extends JournalEntry {
  readonly length: number;
  resolve(record: JournalRecord): void;
  reject(error: unknown): void;
}

export interface JournalOptions {
  readonly segments: Segments;
  readonly segmentBytes: number;
  readonly bootId: string;
  readonly log: FlowLog;
}

export function createJournal(options: JournalOptions): Journal {
  return new GroupedJournal(options);
}

class GroupedJournal implements Journal {
  readonly #options: JournalOptions;
  readonly #used = new Set<UsedSegment>();
  #active: UsedSegment | undefined;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(options: JournalOptions) {
    this.#options = options;
  }

  get segments(): number {
    return this.#used.size;
  }

  append(entry: JournalEntry): Promise<JournalRecord> {
    const length = recordLength(entry.plan.length, entry.body.length);
    if (this.#closed) return Promise.reject(storageErrorOf('storage-failed', 'the journal is closed'));
    if (length + blockBytes > this.#options.segmentBytes) {
      return Promise.reject(new Error(`a record of ${length} octets does not fit into a segment`));
    }
    if (
      this.#waiting.length >= journalBacklogRecordsMax ||
      this.#waitingBytes + length > journalBacklogBytesMax
    ) {
      return Promise.reject(storageErrorOf('storage-full', 'too much waits for the journal'));
    }
    this.#waitingBytes += length;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...entry, length, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  done({ segment, sequence }: JournalRecord): void {
    segment.undone -= 1;
    segment.marks.add(sequence);
  }

  seal(last: boolean): void {
    const active = this.#active;
    if (!active || active.nextSequence === 0) return;
    if (!last && this.#options.segments.ready === 0) return;
    active.sealed = true;
    this.#active = undefined;
  }

  finished(): UsedSegment[] {
    return [...this.#used].filter((segment) => segment.sealed && segment.undone === 0);
  }

  used(): UsedSegment[] {
    return [...this.#used];
  }

  async retire(segment: UsedSegment): Promise<void> {
    this.#used.delete(segment);
    segment.marks.close();
    const { path, fd, bytes, failed } = segment;
    segment.fd = undefined;
    await this.#options.segments.retire({ path, fd, bytes }, !failed);
  }

  adopt({ path, bytes, records }: { path: string; bytes: number; records: number }): UsedSegment {
    return this.#use({ path, bytes, fd: undefined, undone: records, sealed: true });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
    for (const segment of this.#used) {
      segment.marks.close();
      if (segment.fd !== undefined) closeSync(segment.fd);
      segment.fd = undefined;
    }
  }

  /** One group after the other until nobody waits. Never rejects. */
  async #run(): Promise<void> {
    // Whoever appends in this turn of the event loop joins the first group.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) await this.#writeGroup();
    this.#running = undefined;
  }

  async #writeGroup(): Promise<void> {
    let segment: UsedSegment;
    try {
      const { length } = this.#waiting[0]!;
      // No pause between choosing a segment with records and counting ours: `seal` could end its use in between.
      segment = this.#roomInActive(length) ?? (await this.#nextSegment());
    } catch (error) {
      // No place for the first is no place for any.
      this.#reject(this.#takeGroup(Number.POSITIVE_INFINITY), error);
      return;
    }
    const group = this.#takeGroup(segment.bytes - segment.end);
    const start = segment.end;
    const groupStart = segment.nextSequence;
    const octets = this.#encode(segment, group);
    segment.undone += group.length;
    try {
      // A copy into the page cache costs less than the two wake-ups of having another thread make it.
      if (segment.end - start <= journalBlockingWriteBytesMax) writeAllSync(segment.fd!, octets, start);
      else await writeAll(segment.fd!, octets, start);
      await syncData(segment.fd!);
    } catch (error) {
      segment.undone -= group.length;
      this.#abandon(segment, start);
      this.#reject(group, error);
      return;
    }
    group.forEach((each, index) => {
      each.resolve({ segment, sequence: groupStart + index });
    });
  }

  /** Takes those that wait longest, as many as one write and the room in the segment allow. */
  #takeGroup(room: number): Waiting[] {
    let count = 0;
    let bytes = 0;
    for (const { length } of this.#waiting) {
      const most = Math.min(room - blockBytes, Math.max(journalGroupBytesMax, length));
      if (count === journalGroupRecordsMax || (count > 0 && bytes + length > most)) break;
      count += 1;
      bytes += length;
    }
    this.#waitingBytes -= bytes;
    return this.#waiting.splice(0, count);
  }

  #encode(segment: UsedSegment, group: readonly Waiting[]): Uint8Array[] {
    const octets: Uint8Array[] = [];
    const groupStart = segment.nextSequence;
    let length = 0;
    for (const entry of group) {
      const position = { sequence: segment.nextSequence, groupStart };
      octets.push(...encodeRecord(segment.file!, position, entry.plan, entry.body, entry.bodyCrc32));
      segment.nextSequence += 1;
      length += entry.length;
    }
    const padding = groupPadding(length);
    octets.push(padding);
    segment.end += length + padding.length;
    return octets.filter((each) => each.length > 0);
  }

  /** The active segment where the record fits. */
  #roomInActive(length: number): UsedSegment | undefined {
    const active = this.#active;
    return active && active.end + length + blockBytes <= active.bytes ? active : undefined;
  }

  /** Without records yet, so that `seal` leaves it alone. @throws OperationalError when there is none */
  async #nextSegment(): Promise<UsedSegment> {
    if (this.#active) this.#active.sealed = true;
    this.#active = undefined;
    let file = this.#options.segments.take();
    while (!file) {
      await this.#options.segments.prepared();
      file = this.#options.segments.take();
    }
    this.#active = this.#use({
      path: file.path,
      bytes: this.#options.segmentBytes,
      fd: file.fd,
      undone: 0,
      file,
    });
    return this.#active;
  }

  #use(
    segment: Pick<UsedSegment, 'path' | 'bytes' | 'fd' | 'undone' | 'file'> & { sealed?: boolean },
  ): UsedSegment {
    const used: UsedSegment = {
      sealed: false,
      ...segment,
      end: 0,
      nextSequence: 0,
      failed: false,
      files: [],
      written: [],
      marks: createDoneMarks(doneName(segment.path), this.#options.bootId),
    };
    this.#used.add(used);
    return used;
  }

  #abandon(segment: UsedSegment, groupStart: number): void {
    segment.sealed = true;
    segment.failed = true;
    if (this.#active === segment) this.#active = undefined;
    try {
      // These were refused: should the process die before the segment goes, they need not be found. Best effort only.
      writeSync(segment.fd!, Buffer.alloc(blockBytes), 0, blockBytes, groupStart);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
    }
  }

  #reject(group: readonly Waiting[], error: unknown): void {
    const reason = storageError(error, 'write journal');
    this.#options.log.error('journal-failed', {
      error: reason.message,
      refused: group.length,
      ...reason.facts,
    });
    for (const { reject } of group) reject(reason);
  }
}
