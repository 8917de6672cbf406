/** A folder that is open, once for all sessions of this process: its latest snapshot, and calls to the threads. */
import { setTimeout as sleep } from 'node:timers/promises';
import { indexLimits } from '../../core/base/limits/mailbox.ts';
import type { FactRow } from './index/fact-store.ts';
import { MailboxError } from './mailbox-error.ts';
import type { AccountThreads } from './open-account.ts';
import { Snapshot, type SnapshotData } from './snapshot.ts';

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
  #indexing: Promise<void> | undefined;
  #indexTimer: NodeJS.Timeout | undefined;
  /** Requests that are quicker to answer than to wait for. */
  #urgent = 0;
  #lastUrgent = Number.NEGATIVE_INFINITY;

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

  /** Resolves when the index has the facts of these messages, but for those that went. */
  async indexed(uids: ArrayLike<number>): Promise<void> {
    // More than once where the facts that were there are lost while the others are read.
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const missing = await this.#missing(uids);
      if (missing.length === 0) return;
      if (missing.length > indexLimits.messagesAtOnceMax) await this.#indexAll();
      else await this.#index(missing);
    }
  }

  /** What lists show, by key: for many at once that the index does not have yet. */
  async glance(messages: readonly Keyed[], of: 'envelope' | 'structure'): Promise<Map<number, FactRow>> {
    this.#urgent += 1;
    try {
      const { store, index } = this.threads;
      const places = await store.call('places', [this.handle, messages.map(({ uid }) => uid)]);
      const rows = await index.call('glance', [places, of]);
      if (of === 'structure') {
        this.#keepSizes(
          messages,
          rows.map((row) => row?.size ?? Number.NaN),
        );
      }
      const found = new Map<number, FactRow>();
      for (const [at, { key }] of messages.entries()) if (rows[at]) found.set(key, rows[at].facts);
      return found;
    } finally {
      this.#urgent -= 1;
      this.#lastUrgent = performance.now();
    }
  }

  /** Reads in the background what the index lacks, so that it is there when somebody asks. */
  indexSoon(): void {
    this.#indexTimer ??= setTimeout(() => {
      this.#indexTimer = undefined;
      this.#indexAll().catch((error: unknown) => {
        // Who asks for facts hears of it; a folder that was let go meanwhile has nobody who would.
        if (!(error instanceof MailboxError) && !this.isGone) throw error;
      });
    }, indexLimits.delayMs).unref();
  }

  /** One at a time for all who wait for it. */
  #indexAll(): Promise<void> {
    this.#indexing ??= this.#indexEverything().finally(() => {
      this.#indexing = undefined;
    });
    return this.#indexing;
  }

  async #indexEverything(): Promise<void> {
    const { uids } = this.snapshot;
    await this.#index(await this.#missing(uids));
    const keys = this.snapshot.data.columns.key.slice(0, this.snapshot.count);
    await this.threads.index.call('sweep', [this.threads.id, this.mailboxId, keys]);
  }

  async #missing(uids: ArrayLike<number>): Promise<Keyed[]> {
    const wanted = this.keysOf(uids);
    const keys = Float64Array.from(wanted, ({ key }) => key);
    const missing = new Set(await this.threads.index.call('missing', [this.threads.id, keys]));
    return wanted.filter(({ key }) => missing.has(key));
  }

  async #index(messages: readonly Keyed[]): Promise<void> {
    const lost = await this.#indexBatches(messages);
    if (lost.length === 0) return;
    // Another program renamed them: they are found again, once.
    await this.refresh('surely');
    await this.#indexBatches(lost);
  }

  /** @returns those that were not where they should be */
  async #indexBatches(messages: readonly Keyed[]): Promise<Keyed[]> {
    const lost: Keyed[] = [];
    let before: Promise<Keyed[]> = Promise.resolve([]);
    for (let at = 0; at < messages.length && this.#isUsed(); at += indexLimits.messagesPerTurn) {
      // Two on their way, so that the index thread never waits for this one.
      const batch = this.#indexBatch(messages.slice(at, at + indexLimits.messagesPerTurn));
      batch.catch(() => undefined);
      lost.push(...(await before));
      before = batch;
      // Who waits for something goes before what is read in advance.
      while (this.#isUrgent() && this.#isUsed()) await sleep(indexLimits.yieldMs);
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

  async #indexBatch(messages: readonly Keyed[]): Promise<Keyed[]> {
    const { store, index, id } = this.threads;
    const places = await store.call('places', [this.handle, messages.map(({ uid }) => uid)]);
    const there = messages.filter((_, at) => places[at] !== undefined);
    if (there.length === 0) return [...messages];
    const found = places.filter((place) => place !== undefined);
    const items = there.map(({ key }, at) => ({ key, place: found[at]! }));
    const sizes = await index.call('add', [id, this.mailboxId, items]);
    this.#keepSizes(there, sizes);
    const read = new Set(there.filter((_, at) => !Number.isNaN(sizes[at]!)));
    return messages.filter((message) => !read.has(message));
  }

  /** They were found on the way: the column is everybody's memory. */
  #keepSizes(messages: readonly Keyed[], sizes: readonly number[]): void {
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
  read(): void {
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
