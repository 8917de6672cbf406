/**
 * What one session has been told of a folder: its message numbers change only when the session says that it can be
 * told so. RFC 9051 section 7.5.1 (EXPUNGE) and 5.5. While nothing is held back it shares the snapshot's memory.
 */
import { lowerBound, type Snapshot } from './snapshot.ts';

export interface ViewChanges {
  /** In the order in which they are to be told: each number is right after the ones before it were told. Highest first. */
  readonly expunged: readonly { readonly seq: number; readonly uid: number }[];
  /** Messages that came, at the end. */
  readonly added: number;
  /** UIDs that were there before and whose flags or modseq changed, ascending. */
  readonly changed: readonly number[];
}

export class FolderView {
  #snapshot: Snapshot;
  #uids: Uint32Array;
  /** Flags of messages that are gone and whose number is still held. */
  readonly #gone = new Map<number, number>();

  constructor(snapshot: Snapshot) {
    this.#snapshot = snapshot;
    this.#uids = snapshot.uids;
  }

  /** The latest snapshot taken in; its indexes are the view's numbers only while nothing is held back. */
  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** Messages, those whose end has not been told included. */
  get count(): number {
    return this.#uids.length;
  }

  /** UIDs by number - 1, for reading only. */
  get uids(): Uint32Array {
    return this.#uids;
  }

  /** True when some message is gone and the session has not been told. */
  get holdsBack(): boolean {
    return this.#gone.size > 0;
  }

  /** UID of message number `seq`, 0 when there is none. */
  uidAt(seq: number): number {
    return this.#uids[seq - 1] ?? 0;
  }

  /** Number of a UID, 0 when the view has no such message. */
  seqOf(uid: number): number {
    const index = lowerBound(this.#uids, this.#uids.length, uid);
    return this.#uids[index] === uid ? index + 1 : 0;
  }

  /** Index in `snapshot` of message number `seq`; -1 when it is gone. */
  indexAt(seq: number): number {
    const uid = this.uidAt(seq);
    if (this.#gone.size === 0) return seq - 1 < this.#snapshot.count ? seq - 1 : -1;
    return this.#snapshot.indexOf(uid);
  }

  /** Flag bits of message number `seq`, the last known ones when it is gone. */
  flagBits(seq: number): number {
    const index = this.indexAt(seq);
    return index >= 0 ? this.#snapshot.flagBits(index) : (this.#gone.get(this.uidAt(seq)) ?? 0);
  }

  /** Takes in a newer snapshot. @param expunge false where no number may change: during FETCH, STORE and SEARCH */
  update(next: Snapshot, { expunge }: { readonly expunge: boolean }): ViewChanges {
    const before = this.#snapshot;
    if (next === before && !(expunge && this.holdsBack)) return { expunged: [], added: 0, changed: [] };
    const { gone, changed } = compare(before, next);
    for (const { uid, flags } of gone) this.#gone.set(uid, flags);
    const added = next.count - next.indexFrom((this.#uids.at(-1) ?? 0) + 1);
    const expunged = expunge ? this.#forget() : [];
    this.#snapshot = next;
    this.#uids = this.#gone.size === 0 ? next.uids : joined(this.#uids, next, added);
    return { expunged, added, changed };
  }

  #forget(): { seq: number; uid: number }[] {
    const uids = [...this.#gone.keys()].sort((a, b) => b - a);
    const expunged = uids.map((uid) => ({ seq: this.seqOf(uid), uid })).filter(({ seq }) => seq > 0);
    this.#gone.clear();
    return expunged;
  }
}

/** The view's UIDs, then those of the snapshot's new messages. */
function joined(uids: Uint32Array, next: Snapshot, added: number): Uint32Array {
  if (added === 0) return uids;
  const all = new Uint32Array(uids.length + added);
  all.set(uids);
  all.set(next.uids.subarray(next.count - added), uids.length);
  return all;
}

interface Compared {
  readonly gone: { uid: number; flags: number }[];
  readonly changed: number[];
}

/** Messages of `before` that `next` lacks, or has with another modseq. */
function compare(before: Snapshot, next: Snapshot): Compared {
  const gone: Compared['gone'] = [];
  const changed: number[] = [];
  const old = before.data.columns;
  const fresh = next.data.columns;
  let at = 0;
  for (let index = 0; index < before.count; index += 1) {
    const uid = old.uid[index]!;
    while (at < next.count && fresh.uid[at]! < uid) at += 1;
    if (at >= next.count || fresh.uid[at] !== uid) gone.push({ uid, flags: old.flags[index]! });
    else if (fresh.modseq[at] !== old.modseq[index] || fresh.flags[at] !== old.flags[index])
      changed.push(uid);
  }
  return { gone, changed };
}
