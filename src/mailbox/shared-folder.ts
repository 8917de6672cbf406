/** A folder that is open, once for all sessions of this process: its latest snapshot, and calls to the threads. */
import { indexLimits } from '../../core/base/limits.ts';
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
  isGone = false;
  snapshot: Snapshot;
  readonly #listeners = new Set<() => void>();
  #claimed = 0;

  constructor({ name, handle, mailboxId, data }: SharedFolderInit, threads: AccountThreads) {
    this.name = name;
    this.handle = handle;
    this.mailboxId = mailboxId;
    this.threads = threads;
    this.snapshot = new Snapshot(data);
  }

  take(data: SnapshotData, gone: boolean): void {
    if (data.version < this.snapshot.data.version) return;
    this.snapshot = new Snapshot(data);
    this.isGone ||= gone;
    for (const listener of this.#listeners) listener();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async refresh(): Promise<Snapshot> {
    await this.threads.store.call('refresh', [this.handle]);
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

  keysOf(uids: ArrayLike<number>): { uid: number; key: number }[] {
    const { key } = this.snapshot.data.columns;
    const found: { uid: number; key: number }[] = [];
    for (let at = 0; at < uids.length; at += 1) {
      const index = this.snapshot.indexOf(uids[at]!);
      if (index >= 0) found.push({ uid: uids[at]!, key: key[index]! });
    }
    return found;
  }

  /** Resolves when the index has the facts of these messages, but for those that went. */
  async indexed(uids: ArrayLike<number>): Promise<void> {
    const wanted = this.keysOf(uids);
    const keys = Float64Array.from(wanted, ({ key }) => key);
    const missing = new Set(await this.threads.index.call('missing', [this.threads.id, keys]));
    const left = wanted.filter(({ key }) => missing.has(key));
    const lost: typeof left = [];
    for (let at = 0; at < left.length; at += indexLimits.messagesPerTurn)
      lost.push(...(await this.#index(left.slice(at, at + indexLimits.messagesPerTurn))));
    if (lost.length === 0) return;
    // Another program renamed them: they are found again, once.
    await this.refresh();
    for (let at = 0; at < lost.length; at += indexLimits.messagesPerTurn)
      await this.#index(lost.slice(at, at + indexLimits.messagesPerTurn));
  }

  /** @returns those that were not where they should be */
  async #index<T extends { uid: number; key: number }>(messages: readonly T[]): Promise<T[]> {
    const { store, index, id } = this.threads;
    const places = await store.call('places', [this.handle, messages.map(({ uid }) => uid)]);
    const items = messages.flatMap(({ key }, at) => {
      const place = places[at];
      return place ? [{ key, place }] : [];
    });
    if (items.length === 0) return [];
    const lost = new Set(await index.call('add', [id, this.mailboxId, items]));
    return messages.filter(({ key }) => lost.has(key));
  }
}
