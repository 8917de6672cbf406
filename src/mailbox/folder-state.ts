/** The messages of one folder as its engine knows them: changed in place here, handed out as snapshots that never change. */
import type { Keywords } from './flags.ts';
import { type Columns, emptyColumns, lowerBound, type SnapshotData } from './snapshot.ts';

export interface NewMessage {
  readonly uid: number;
  readonly flags: number;
  readonly modseq: number;
  readonly key: number;
  readonly size?: number;
  readonly internalDate?: number;
  readonly saveDate?: number;
}

export class FolderState {
  uidValidity = 0;
  uidNext = 1;
  highestModseq = 1;
  firstRecentUid = 1;
  keywords: Keywords = [];
  count = 0;
  version = 0;
  #columns: Columns = emptyColumns(64);
  /** The columns of flags and modseqs belong to a snapshot too: to be copied before they change. */
  #shared = false;
  #published: SnapshotData | undefined;

  get columns(): Columns {
    return this.#columns;
  }

  indexOf(uid: number): number {
    const index = lowerBound(this.#columns.uid, this.count, uid);
    return index < this.count && this.#columns.uid[index] === uid ? index : -1;
  }

  uidAt(index: number): number {
    return this.#columns.uid[index]!;
  }

  flagsAt(index: number): number {
    return this.#columns.flags[index]!;
  }

  modseqAt(index: number): number {
    return this.#columns.modseq[index]!;
  }

  /** Later than every modseq before, also than those that a lost index held: they grow with the clock. @param now epoch milliseconds */
  nextModseq(now: number): number {
    this.highestModseq = Math.max(this.highestModseq + 1, now);
    return this.highestModseq;
  }

  /** At the end: its UID is the highest. */
  add(message: NewMessage): void {
    if (this.count === this.#columns.uid.length) this.#resize(this.count * 2);
    const { uid, flags, modseq, key, size, internalDate, saveDate } = message;
    const columns = this.#columns;
    // Elements past the count are in no snapshot, so that they may be written where snapshots share the memory.
    columns.uid[this.count] = uid;
    columns.flags[this.count] = flags;
    columns.modseq[this.count] = modseq;
    columns.key[this.count] = key;
    columns.size[this.count] = size ?? Number.NaN;
    columns.internalDate[this.count] = internalDate ?? Number.NaN;
    columns.saveDate[this.count] = saveDate ?? Number.NaN;
    this.count += 1;
    this.changed();
  }

  setFlags(index: number, flags: number, modseq: number): void {
    this.#own();
    this.#columns.flags[index] = flags;
    this.#columns.modseq[index] = modseq;
    this.changed();
  }

  /** @param uids those that stay are everything else */
  remove(uids: ReadonlySet<number>): void {
    const before = this.#columns;
    const after = emptyColumns(Math.max(64, this.count));
    let kept = 0;
    for (let index = 0; index < this.count; index += 1) {
      if (uids.has(before.uid[index]!)) continue;
      for (const name of columnNames) after[name][kept] = before[name][index]!;
      kept += 1;
    }
    this.#columns = after;
    this.#shared = false;
    this.count = kept;
    this.changed();
  }

  /** Forgets all messages: the folder is another one now. */
  clear(): void {
    this.#columns = emptyColumns(64);
    this.#shared = false;
    this.count = 0;
    this.changed();
  }

  changed(): void {
    this.#published = undefined;
  }

  /** The same object until something changes. */
  publish(): SnapshotData {
    if (this.#published) return this.#published;
    this.version += 1;
    this.#shared = true;
    this.#published = {
      version: this.version,
      count: this.count,
      uidValidity: this.uidValidity,
      uidNext: this.uidNext,
      highestModseq: this.highestModseq,
      firstRecentUid: this.firstRecentUid,
      keywords: this.keywords,
      columns: this.#columns,
    };
    return this.#published;
  }

  #own(): void {
    if (!this.#shared) return;
    const { flags, modseq } = this.#columns;
    const own = {
      flags: new Uint32Array(new SharedArrayBuffer(flags.byteLength)),
      modseq: new Float64Array(new SharedArrayBuffer(modseq.byteLength)),
    };
    own.flags.set(flags);
    own.modseq.set(modseq);
    this.#columns = { ...this.#columns, ...own };
    this.#shared = false;
  }

  #resize(capacity: number): void {
    const larger = emptyColumns(Math.max(64, capacity));
    for (const name of columnNames) larger[name].set(this.#columns[name].subarray(0, this.count));
    this.#columns = larger;
    this.#shared = false;
  }
}

const columnNames = ['uid', 'flags', 'modseq', 'key', 'size', 'internalDate', 'saveDate'] as const;
