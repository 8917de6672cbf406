/** A folder that is open, once for all sessions of this process: its latest snapshot, and calls to the threads. */
import { setTimeout as sleep } from 'node:timers/promises';
import { indexLimits } from '../../core/base/limits/mailbox.ts';
import { type FactKind, factKinds, kindsOf } from './index/fact-kind.ts';
import type { FactRow } from './index/fact-store.ts';
import type { FactField } from './mailbox.ts';
import { MailboxError } from './mailbox-error.ts';
import type { AccountThreads } from './open-account.ts';
import { Snapshot, type SnapshotData } from './snapshot.ts';
import type { Found } from './threads/index-calls.ts';

export interface SharedFolderInit {
  readonly name: string;
  readonly handle: number;
  readonly mailboxId: string;
  readonly data: SnapshotData;
}

/** @throws MailboxError NONEXISTENT, CANNOT */
export async function holdFolder(name: string, threads: AccountThreads): Promise<SharedFolder> {
  const held = await threads.store.call('hold', [threads.id, name]);
  return new SharedFolder({ name, ...held }, threads);
}

export class SharedFolder {
  readonly name: string;
  readonly handle: number;
  readonly mailboxId: string;
  readonly threads: AccountThreads;
  /** Sessions and watches that use it. */
  holders = 0;
  /** Some session reads it: it is no mere watch. */
  #isRead = false;
  isGone = false;
  snapshot: Snapshot;
  readonly #listeners = new Set<() => void>();
  #claimed = 0;
  readonly #indexing: Partial<Record<FactKind, Promise<void>>> = {};
  #indexTimer: NodeJS.Timeout | undefined;
  /** Requests that are quicker to answer than to wait for. */
  #urgent = 0;
  #lastUrgent = Number.NEGATIVE_INFINITY;
  /** Those who wait for what is read in advance. */
  #waiting = 0;

  constructor({ name, handle, mailboxId, data }: SharedFolderInit, threads: AccountThreads) {
    this.name = name;
    this.handle = handle;
    this.mailboxId = mailboxId;
    this.threads = threads;
    this.snapshot = new Snapshot(data);
  }

  take(data: SnapshotData, gone: boolean): void {
    if (data.version < this.snapshot.data.version) return;
    if (data.uidNext > this.snapshot.uidNext && this.#isRead) this.indexSoon();
    this.snapshot = new Snapshot(data);
    this.isGone ||= gone;
    for (const listener of this.#listeners) listener();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async refresh(how?: 'surely'): Promise<Snapshot> {
    await this.threads.store.call('refresh', [this.handle, how]);
    return this.snapshot;
  }

  /** The first to ask has them: no other session of this process, and no later one. */
  claimRecent(claim: boolean): { first: number; end: number } {
    const end = this.snapshot.uidNext;
    const first = Math.min(end, Math.max(this.#claimed, this.snapshot.data.firstRecentUid));
    if (!claim || first === end) return { first, end };
    this.#claimed = end;
    this.threads.store.call('claimRecent', [this.handle, end]).catch(() => undefined);
    return { first, end };
  }

  keysOf(uids: ArrayLike<number>): Keyed[] {
    const { key } = this.snapshot.data.columns;
    const found: Keyed[] = [];
    for (let at = 0; at < uids.length; at += 1) {
      const index = this.snapshot.indexOf(uids[at]!);
      if (index >= 0) found.push({ uid: uids[at]!, key: key[index]! });
    }
    return found;
  }

  /** Resolves when the index has these facts of the messages, but for those that went. */
  async indexed(uids: ArrayLike<number>, kinds: readonly FactKind[]): Promise<void> {
    this.#waiting += 1;
    try {
      for (const kind of kinds) await this.#indexedOne(uids, kind);
    } finally {
      this.#waiting -= 1;
    }
  }

  async #indexedOne(uids: ArrayLike<number>, kind: FactKind): Promise<void> {
    // More than once where the facts that were there are lost while the others are read.
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const missing = await this.#missing(uids, kind);
      if (missing.length === 0) return;
      if (missing.length > indexLimits.messagesAtOnceMax) await this.#indexAll(kind);
      else await this.#index(missing, kind);
    }
  }

  /** Reads now, for who waits. @returns by key, without what was not where it should be */
  async read(messages: readonly Keyed[], fields: readonly FactField[]): Promise<Map<number, FactRow>> {
    const { there, rows } = await this.#read(messages, kindsOf(fields), fields);
    const found = new Map<number, FactRow>();
    for (const [at, row] of rows.entries()) if (row) found.set(there[at]!.key, row);
    return found;
  }

  /** What is read in advance stands aside meanwhile. */
  async urgently<T>(work: () => Promise<T>): Promise<T> {
    this.#urgent += 1;
    try {
      return await work();
    } finally {
      this.#urgent -= 1;
      this.#lastUrgent = performance.now();
    }
  }

  /** Reads in the background what the index lacks, so that it is there when somebody asks. */
  indexSoon(): void {
    this.#indexTimer ??= setTimeout(() => {
      this.#indexTimer = undefined;
      this.#indexInAdvance().catch((error: unknown) => {
        // Who asks for facts hears of it; a folder that was let go meanwhile has nobody who would.
        if (!(error instanceof MailboxError) && !this.isGone) throw error;
      });
    }, indexLimits.delayMs).unref();
  }

  async #indexInAdvance(): Promise<void> {
    // One after the other: who waits for the one should not share the machine with the next.
    for (const kind of factKinds) await this.#indexAll(kind);
    const keys = this.snapshot.data.columns.key.slice(0, this.snapshot.count);
    await this.threads.index.sweep(this.mailboxId, keys);
  }

  /** One at a time for all who wait for it. */
  #indexAll(kind: FactKind): Promise<void> {
    this.#indexing[kind] ??= this.#missing(this.snapshot.uids, kind)
      .then((missing) => this.#index(missing, kind))
      .finally(() => {
        this.#indexing[kind] = undefined;
      });
    return this.#indexing[kind];
  }

  async #missing(uids: ArrayLike<number>, kind: FactKind): Promise<Keyed[]> {
    const wanted = this.keysOf(uids);
    const keys = Float64Array.from(wanted, ({ key }) => key);
    const missing = new Set(await this.threads.index.missing(keys, kind));
    return wanted.filter(({ key }) => missing.has(key));
  }

  async #index(messages: readonly Keyed[], kind: FactKind): Promise<void> {
    const lost = await this.#indexBatches(messages, kind);
    if (lost.length === 0) return;
    // Another program renamed them: they are found again, once.
    await this.refresh('surely');
    await this.#indexBatches(lost, kind);
  }

  /** @returns those that were not where they should be */
  async #indexBatches(messages: readonly Keyed[], kind: FactKind): Promise<Keyed[]> {
    const lost: Keyed[] = [];
    let before: Promise<Keyed[]> = Promise.resolve([]);
    for (let at = 0; at < messages.length && this.#isUsed(); at += indexLimits.messagesPerTurn) {
      // Two on their way, so that the index thread never waits for this one.
      const batch = this.#indexBatch(messages.slice(at, at + indexLimits.messagesPerTurn), kind);
      batch.catch(() => undefined);
      lost.push(...(await before));
      before = batch;
      // Who waits for something goes before what is read in advance.
      while (this.#isUrgent() && this.#waiting === 0 && this.#isUsed()) await sleep(indexLimits.yieldMs);
    }
    lost.push(...(await before));
    return lost;
  }

  #isUsed(): boolean {
    return this.holders > 0 && !this.isGone;
  }

  /** Who asked just now mostly asks again: for the next part of a list. */
  #isUrgent(): boolean {
    return this.#urgent > 0 || performance.now() - this.#lastUrgent < indexLimits.urgentMs;
  }

  async #indexBatch(messages: readonly Keyed[], kind: FactKind): Promise<Keyed[]> {
    const { there, rows } = await this.#read(messages, [kind], []);
    const read = new Set(there.filter((_, at) => rows[at] !== undefined));
    return messages.filter((message) => !read.has(message));
  }

  /** Those that are there, and what was asked for of them. */
  async #read(messages: readonly Keyed[], kinds: readonly FactKind[], fields: readonly FactField[]) {
    const { there, items } = await this.#places(messages);
    const { rows, sizes } = await this.threads.index.read(this.mailboxId, items, kinds, fields);
    if (kinds.includes('structure')) this.#keepSizes(there, sizes);
    return { there, rows };
  }

  /** Where they lie; those that went are left out. */
  async #places(messages: readonly Keyed[]): Promise<{ there: Keyed[]; items: Found[] }> {
    const uids = messages.map(({ uid }) => uid);
    const places = await this.threads.store.call('places', [this.handle, uids]);
    const there = messages.filter((_, at) => places[at] !== undefined);
    const found = places.filter((place) => place !== undefined);
    return { there, items: there.map(({ key }, at) => ({ key, place: found[at]! })) };
  }

  /** They were found on the way: the column is everybody's memory. */
  #keepSizes(messages: readonly Keyed[], sizes: Float64Array): void {
    const { size } = this.snapshot.data.columns;
    const filled = messages.flatMap(({ uid }, at) => {
      const index = this.snapshot.indexOf(uid);
      if (index < 0 || Number.isNaN(sizes[at]!) || !Number.isNaN(size[index]!)) return [];
      size[index] = sizes[at]!;
      return [uid];
    });
    if (filled.length > 0) this.threads.store.call('filled', [this.handle, filled]).catch(() => undefined);
  }

  /** A session opened it. */
  opened(): void {
    this.#isRead = true;
    this.indexSoon();
  }

  /** Nobody uses it any more; whoever asks for the folder from now on must open it anew. */
  end(): void {
    this.isGone = true;
    clearTimeout(this.#indexTimer);
  }
}

interface Keyed {
  readonly uid: number;
  readonly key: number;
}
