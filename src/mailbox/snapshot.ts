/**
 * A folder at one moment: message n is element n - 1 of every column. Columns lie in shared memory, so that a snapshot
 * crosses threads and serves all sessions of a folder without a copy. Nothing that a snapshot says changes later, but
 * for sizes and dates that were not known yet and are filled in.
 */
import { deletedBit, flagNames, type Keywords, seenBit } from './flags.ts';

export interface Columns {
  /** Ascending. */
  readonly uid: Uint32Array;
  readonly flags: Uint32Array;
  readonly modseq: Float64Array;
  /** Names the message's octets in the index, whatever folder it lies in; an integer below 2^53. */
  readonly key: Float64Array;
  /** Octets with CRLF line ends, RFC822.SIZE; NaN until asked for with `ensure`. */
  readonly size: Float64Array;
  /** Epoch milliseconds; NaN until asked for. */
  readonly internalDate: Float64Array;
  /** Epoch milliseconds at which the message came into this folder, RFC 8514; NaN until asked for. */
  readonly saveDate: Float64Array;
}

/** What crosses threads; columns may be longer than `count`. */
export interface SnapshotData {
  /** Grows with every change of the folder in this process; for comparing, not for clients. */
  readonly version: number;
  readonly count: number;
  readonly uidValidity: number;
  readonly uidNext: number;
  /** RFC 7162; below 2^53. */
  readonly highestModseq: number;
  /** UIDs from this on have not been told to any session as `\Recent`. */
  readonly firstRecentUid: number;
  readonly keywords: Keywords;
  readonly columns: Columns;
}

export class Snapshot {
  readonly data: SnapshotData;

  constructor(data: SnapshotData) {
    this.data = data;
  }

  get count(): number {
    return this.data.count;
  }
  get uidNext(): number {
    return this.data.uidNext;
  }
  get uidValidity(): number {
    return this.data.uidValidity;
  }
  get highestModseq(): number {
    return this.data.highestModseq;
  }
  get keywords(): Keywords {
    return this.data.keywords;
  }

  /** UIDs in order, a view on shared memory: for reading only. */
  get uids(): Uint32Array {
    return this.data.columns.uid.subarray(0, this.data.count);
  }

  /** Index of the message, or -1. */
  indexOf(uid: number): number {
    const index = lowerBound(this.data.columns.uid, this.data.count, uid);
    return index < this.data.count && this.data.columns.uid[index] === uid ? index : -1;
  }

  /** Index of the first message with that UID or a higher one; `count` when there is none. */
  indexFrom(uid: number): number {
    return lowerBound(this.data.columns.uid, this.data.count, uid);
  }

  flagBits(index: number): number {
    return this.data.columns.flags[index]!;
  }

  /** System flags and keywords, without `\Recent`. */
  flagNames(index: number): string[] {
    return flagNames(this.data.columns.flags[index]!, this.data.keywords);
  }

  modseq(index: number): number {
    return this.data.columns.modseq[index]!;
  }

  /** Messages without `\Seen`. */
  countUnseen(): number {
    return this.data.count - this.#countWith(seenBit);
  }

  countDeleted(): number {
    return this.#countWith(deletedBit);
  }

  /** Index of the first message without `\Seen`, or -1. */
  firstUnseen(): number {
    const { flags } = this.data.columns;
    for (let index = 0; index < this.data.count; index += 1) if (!(flags[index]! & seenBit)) return index;
    return -1;
  }

  #countWith(bit: number): number {
    const { flags } = this.data.columns;
    let found = 0;
    for (let index = 0; index < this.data.count; index += 1) if (flags[index]! & bit) found += 1;
    return found;
  }
}

/** First index below `count` whose value is not less than `wanted`. */
export function lowerBound(values: Uint32Array | Float64Array, count: number, wanted: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function emptyColumns(capacity: number): Columns {
  const of = (bytes: number) => new SharedArrayBuffer(Math.max(1, capacity) * bytes);
  return {
    uid: new Uint32Array(of(4)),
    flags: new Uint32Array(of(4)),
    modseq: new Float64Array(of(8)),
    key: new Float64Array(of(8)),
    size: new Float64Array(of(8)).fill(Number.NaN),
    internalDate: new Float64Array(of(8)).fill(Number.NaN),
    saveDate: new Float64Array(of(8)).fill(Number.NaN),
  };
}
