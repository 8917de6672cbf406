/** A folder as one session has it open. */
import { readBatchBytes, readBatchMessages } from '../../core/base/limits/mailbox.ts';
import { type FactKind, kindsOf } from './index/fact-kind.ts';
import type { FactRow } from './index/fact-store.ts';
import type {
  Copied,
  FactField,
  FilledColumn,
  FlagChange,
  Folder,
  MessageFacts,
  MessageOctets,
  Stored,
} from './mailbox.ts';
import { MailboxError } from './mailbox-error.ts';
import { columnsFor, factsFor, search } from './search/match.ts';
import { columnsForSort, sortNeedsFacts } from './search/sort.ts';
import type { SearchQuery, SortCriterion, ThreadAlgorithm, ThreadNode } from './search-query.ts';
import type { SharedFolder } from './shared-folder.ts';
import { Snapshot } from './snapshot.ts';
import type { SearchIn } from './threads/index-calls.ts';
import { acceptsKeywords } from './threads/store-calls.ts';
import type { FolderView } from './view.ts';

export class OpenFolder implements Folder {
  readonly readOnly: boolean;
  readonly #shared: SharedFolder;
  readonly #close: () => void;
  readonly #ends = new Set<() => void>();
  #closed = false;

  constructor(shared: SharedFolder, readOnly: boolean, close: () => void) {
    this.#shared = shared;
    this.readOnly = readOnly;
    this.#close = close;
  }

  get name(): string {
    return this.#shared.name;
  }
  get mailboxId(): string {
    return this.#shared.mailboxId;
  }
  get snapshot(): Snapshot {
    return this.#shared.snapshot;
  }
  get acceptsKeywords(): boolean {
    return acceptsKeywords(this.#shared.snapshot.data);
  }
  get isGone(): boolean {
    return this.#shared.isGone;
  }

  refresh(): Promise<Snapshot> {
    return this.#shared.refresh();
  }

  onChange(listener: () => void): () => void {
    const end = this.#shared.onChange(listener);
    this.#ends.add(end);
    return () => {
      this.#ends.delete(end);
      end();
    };
  }

  claimRecent(): { first: number; end: number } {
    return this.#shared.claimRecent(!this.readOnly);
  }

  async ensure(uids: ArrayLike<number>, columns: readonly FilledColumn[]): Promise<Snapshot> {
    const { snapshot } = this.#shared;
    const open = Array.from(uids).filter((uid) => {
      const index = snapshot.indexOf(uid);
      return index >= 0 && columns.some((column) => Number.isNaN(snapshot.data.columns[column][index]!));
    });
    if (open.length === 0) return snapshot;
    let data = snapshot.data;
    for (let at = 0; at < open.length; at += readBatchMessages) {
      const some = open.slice(at, at + readBatchMessages);
      data = await this.#shared.threads.store.call('fill', [this.#shared.handle, some, columns]);
    }
    return new Snapshot(data);
  }

  async *facts(uids: ArrayLike<number>, fields: readonly FactField[]): AsyncGenerator<MessageFacts> {
    const wanted = this.#shared.keysOf(Uint32Array.from(uids).sort());
    const batches: (typeof wanted)[] = [];
    for (let at = 0; at < wanted.length; at += readBatchMessages)
      batches.push(wanted.slice(at, at + readBatchMessages));
    const load = (batch: typeof wanted) =>
      this.#shared.urgently(async () => ({ batch, rows: await this.#factRows(batch, fields) }));
    let next = batches[0] && load(batches[0]);
    for (let at = 0; next; at += 1) {
      const { batch, rows } = await next;
      // While one batch is being written the next one is read.
      next = batches[at + 1] && load(batches[at + 1]!);
      next?.catch(() => undefined);
      for (let n = 0; n < batch.length; n += 1)
        if (rows[n]) yield { ...nothingKnown, ...rows[n], uid: batch[n]!.uid };
    }
  }

  async #factRows(
    batch: readonly { uid: number; key: number }[],
    fields: readonly FactField[],
  ): Promise<(FactRow | undefined)[]> {
    const { index } = this.#shared.threads;
    const keys = batch.map(({ key }) => key);
    const rows = await index.facts(keys, fields);
    const missing = batch.filter((_, at) => !rows[at]);
    if (missing.length === 0) return rows;
    const read = await this.#shared.read(missing, fields);
    if (read.size === missing.length) return rows.map((row, at) => row ?? read.get(keys[at]!));
    // Another program renamed some, or they are gone.
    await this.#shared.indexed(
      missing.map(({ uid }) => uid),
      kindsOf(fields),
    );
    return index.facts(keys, fields);
  }

  async *messages(uids: ArrayLike<number>, part: 'all' | 'header'): AsyncGenerator<MessageOctets> {
    const wanted = [...Uint32Array.from(uids).sort()];
    const { store } = this.#shared.threads;
    const load = (from: number) =>
      this.#shared.urgently(async () => {
        const some = wanted.slice(from, from + readBatchMessages);
        return { from, ...(await store.call('read', [this.#shared.handle, some, part, readBatchBytes])) };
      });
    let next = wanted.length > 0 ? load(0) : undefined;
    while (next) {
      const { from, octets, ends } = await next;
      const last = from + ends.length;
      next = last < wanted.length ? load(last) : undefined;
      next?.catch(() => undefined);
      let start = 0;
      for (const [n, end] of ends.entries()) {
        if (end < 0) continue;
        yield { uid: wanted[from + n]!, octets: octets.subarray(start, end) };
        start = end;
      }
    }
  }

  async store(
    uids: ArrayLike<number>,
    change: FlagChange,
    { unchangedSince }: { readonly unchangedSince?: number } = {},
  ): Promise<Stored> {
    this.#mustWrite();
    const { store } = this.#shared.threads;
    const result = await store.call('store', [this.#shared.handle, Array.from(uids), change, unchangedSince]);
    return { ...result, snapshot: this.#shared.snapshot };
  }

  expunge(uids?: ArrayLike<number>): Promise<readonly number[]> {
    this.#mustWrite();
    const chosen = uids && Array.from(uids);
    return this.#shared.threads.store.call('expunge', [this.#shared.handle, chosen, false]);
  }

  remove(uids: ArrayLike<number>): Promise<readonly number[]> {
    this.#mustWrite();
    return this.#shared.threads.store.call('expunge', [this.#shared.handle, Array.from(uids), true]);
  }

  copy(uids: ArrayLike<number>, target: string): Promise<Copied> {
    return this.#shared.threads.store.call('transfer', [this.#shared.handle, sorted(uids), target, 'copy']);
  }

  move(uids: ArrayLike<number>, target: string): Promise<Copied> {
    this.#mustWrite();
    return this.#shared.threads.store.call('transfer', [this.#shared.handle, sorted(uids), target, 'move']);
  }

  async vanishedSince(modseq: number, knownUids?: ArrayLike<number>): Promise<Uint32Array> {
    const gone = await this.#shared.threads.store.call('vanishedSince', [this.#shared.handle, modseq]);
    const { snapshot } = this.#shared;
    if (gone) {
      if (!knownUids) return Uint32Array.from(gone);
      const known = new Set(Array.from(knownUids));
      return Uint32Array.from(gone.filter((uid) => known.has(uid)));
    }
    // RFC 7162 section 5.2: what is not remembered is everything that is not there.
    if (knownUids)
      return Uint32Array.from(knownUids).filter((uid) => uid < snapshot.uidNext && snapshot.indexOf(uid) < 0);
    return absentUids(snapshot);
  }

  async search(view: FolderView, query: SearchQuery): Promise<Uint32Array> {
    const needs = { query, columns: columnsFor(query), kinds: [...factsFor(query)] };
    const { index } = this.#shared.threads;
    if (needs.kinds.length > 0) return this.#ask(view, needs, (where) => index.search(where));
    // What lies in memory is searched at once.
    const { data, uids } = await this.#searchIn(view, needs);
    return search(query, { snapshot: new Snapshot(data), uids, now: Date.now(), facts: noFacts });
  }

  sort(view: FolderView, query: SearchQuery, criteria: readonly SortCriterion[]): Promise<Uint32Array> {
    const needs = {
      query,
      columns: new Set([...columnsFor(query), ...columnsForSort(criteria)]),
      kinds: [...(sortNeedsFacts(criteria) ? factsFor(query).add('head') : factsFor(query))],
    };
    return this.#ask(view, needs, (where) => this.#shared.threads.index.sort(where, criteria));
  }

  thread(view: FolderView, query: SearchQuery, algorithm: ThreadAlgorithm): Promise<ThreadNode[]> {
    const needs = {
      query,
      columns: columnsFor(query).add('internalDate'),
      kinds: [...factsFor(query).add('head')],
    };
    return this.#ask(view, needs, (where) => this.#shared.threads.index.thread(where, algorithm));
  }

  /** Asks again when facts are missing, or were lost on the way: once they have been read. */
  async #ask<T>(
    view: FolderView,
    needs: Needs,
    ask: (where: SearchIn) => Promise<T | undefined>,
  ): Promise<T> {
    for (let attempt = 0; attempt < 4; attempt += 1) {
      const where = await this.#searchIn(view, needs);
      const answer = await ask({ ...where, surely: attempt > 0 });
      if (answer !== undefined) return answer;
      await this.#shared.indexed(view.uids, needs.kinds);
    }
    throw new MailboxError('UNAVAILABLE', 'the folder cannot be searched now');
  }

  async #searchIn({ uids }: FolderView, { query, columns, kinds }: Needs): Promise<SearchIn> {
    const { data } = columns.size > 0 ? await this.ensure(uids, [...columns]) : this.#shared.snapshot;
    return { data, uids, query, kinds, surely: false };
  }

  async pop3Uidls(uids: ArrayLike<number>): Promise<readonly string[]> {
    return this.#shared.threads.store.call('uidls', [this.#shared.handle, Array.from(uids)]);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const end of this.#ends) end();
    this.#close();
  }

  #mustWrite(): void {
    if (this.readOnly) throw new MailboxError('CANNOT', 'the folder is open for reading only');
  }
}

/** What must be known before a search. */
interface Needs {
  readonly query: SearchQuery;
  readonly columns: ReadonlySet<FilledColumn>;
  readonly kinds: readonly FactKind[];
}

function sorted(uids: ArrayLike<number>): number[] {
  return [...Uint32Array.from(uids).sort()];
}

const nothingKnown = { envelope: '', body: '', bodyStructure: '', preview: '', emailId: '', threadId: '' };

/** Every UID below UIDNEXT that is not there. */
function absentUids(snapshot: Snapshot): Uint32Array {
  const absent = new Uint32Array(Math.max(0, snapshot.uidNext - 1 - snapshot.count));
  let count = 0;
  let uid = 1;
  for (const there of snapshot.uids) {
    for (; uid < there; uid += 1) absent[count++] = uid;
    uid = there + 1;
  }
  for (; uid < snapshot.uidNext; uid += 1) absent[count++] = uid;
  return absent.subarray(0, count);
}

const noFacts = {
  sort: () => undefined,
  ids: () => undefined,
  header: () => undefined,
  text: () => undefined,
};
