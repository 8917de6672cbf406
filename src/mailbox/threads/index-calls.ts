/** What the index thread answers: facts and searches, from its files and the snapshots that it is given. */
import { join } from 'node:path';
import type { Clock } from '../../../core/base/clock.ts';
import type { Log } from '../../../core/base/log.ts';
import { withLf } from '../crlf.ts';
import type { MessagePlace } from '../engine.ts';
import type { FactKind } from '../index/fact-kind.ts';
import { type FactRow, FactStore } from '../index/fact-store.ts';
import type { Packed } from '../index/pack-table.ts';
import { readHead, readStructure, readText } from '../index/read-facts.ts';
import type { FactField } from '../mailbox.ts';
import { headerAt, octetsAt } from '../read-place.ts';
import { search } from '../search/match.ts';
import { SortRanks, sortMessages } from '../search/sort.ts';
import { threadMessages } from '../search/thread.ts';
import type { SearchQuery, SortCriterion, ThreadAlgorithm, ThreadNode } from '../search-query.ts';
import { Snapshot, type SnapshotData } from '../snapshot.ts';
import { indexName } from './store-calls.ts';

export interface ReadFacts {
  /** What was asked for; undefined for each message that was not where it should be. */
  readonly rows: readonly (FactRow | undefined)[];
  /** Octets with CRLF line ends, NaN where the structure was not asked for. */
  readonly sizes: Float64Array;
}

export interface Found {
  readonly key: number;
  readonly place: MessagePlace;
}

/** The folder as one session sees it. */
export interface SearchIn {
  readonly data: SnapshotData;
  /** UIDs of the view by number - 1; the snapshot's own where nothing is held back. */
  readonly uids: Uint32Array;
  readonly query: SearchQuery;
  /** What has to be known of every message. */
  readonly kinds: readonly FactKind[];
  /** What could be read was read just now: messages without facts are gone. */
  readonly surely: boolean;
}

/** Each index thread has its own. */
export type IndexFile = 'texts.db' | 'structures.db';

export type IndexCalls = ReturnType<typeof createIndexCalls>;

/** @param directory holds a folder for each account, its file in it */
export function createIndexCalls(directory: string, file: IndexFile, clock: Clock, log: Log) {
  const stores = new Map<number, FactStore>();
  const ranks = new Map<number, SortRanks>();

  function storeOf(account: number): FactStore {
    const store = stores.get(account);
    if (!store) throw new Error(`no account ${account}`);
    return store;
  }

  function ranksOf(account: number): SortRanks {
    const known = ranks.get(account) ?? new SortRanks();
    ranks.set(account, known);
    return known;
  }

  function found(account: number, { data, uids, query }: SearchIn): Uint32Array {
    const snapshot = new Snapshot(data);
    return search(query, { snapshot, uids, now: clock.now(), facts: storeOf(account) });
  }

  /** Undefined when facts that are needed are missing, or were lost meanwhile: they are to be read and it is to be asked again. */
  function whole<T>(account: number, { data, uids, kinds, surely }: SearchIn, work: () => T): T | undefined {
    const store = storeOf(account);
    const { generation } = store;
    const keys = data.columns.key.subarray(0, data.count);
    const isMissing = (kind: FactKind) => store.missing(keys, kind).length > 0;
    if (!surely && uids.length > 0 && kinds.some(isMissing)) return undefined;
    const answer = work();
    return store.generation === generation ? answer : undefined;
  }

  return {
    openAccount(account: number, user: string): void {
      stores.set(account, new FactStore(join(directory, indexName(user), file), log));
    },
    closeAccount(account: number): void {
      storeOf(account).close();
      stores.delete(account);
      ranks.delete(account);
    },
    missing: (account: number, keys: Float64Array, kind: FactKind) => storeOf(account).missing(keys, kind),
    /** Reads what is not known yet of these messages and keeps it. */
    read(
      account: number,
      folder: string,
      items: readonly Found[],
      { kinds, fields }: { readonly kinds: readonly FactKind[]; readonly fields: readonly FactField[] },
    ): ReadFacts {
      const store = storeOf(account);
      const records: Record<FactKind, Packed[]> = { head: [], structure: [], text: [] };
      for (const { key, place } of items) {
        // Somebody else may have asked for it as well.
        const lacking = kinds.filter((kind) => !store.has(key, kind));
        if (lacking.length === 0) continue;
        const isHead = lacking.length === 1 && lacking[0] === 'head';
        const stored = isHead ? headerAt(place) : octetsAt(place);
        if (!stored) continue;
        const octets = withLf(stored);
        for (const kind of lacking) records[kind].push({ key, ...readers[kind](octets) });
      }
      for (const kind of kinds) store.add(folder, kind, records[kind]);
      const keys = items.map(({ key }) => key);
      const rows = store.facts(keys, fields);
      const isThere = (key: number) => kinds.every((kind) => store.has(key, kind));
      return {
        rows: fields.length > 0 ? rows : keys.map((key) => (isThere(key) ? {} : undefined)),
        sizes: Float64Array.from(
          keys,
          (key) => (kinds.includes('structure') && store.size(key)) || Number.NaN,
        ),
      };
    },
    /** One for each key, the fields asked for; undefined where something of it is not known yet. */
    facts: (
      account: number,
      keys: readonly number[],
      fields: readonly FactField[],
    ): (FactRow | undefined)[] => storeOf(account).facts(keys, fields),
    sweep: (account: number, folder: string, keys: Float64Array) => storeOf(account).sweep(folder, keys),
    search: (account: number, where: SearchIn): Uint32Array | undefined =>
      whole(account, where, () => found(account, where)),
    sort: (account: number, where: SearchIn, criteria: readonly SortCriterion[]): Uint32Array | undefined =>
      whole(account, where, () =>
        sortMessages(found(account, where), criteria, {
          snapshot: new Snapshot(where.data),
          facts: storeOf(account),
          ranks: ranksOf(account),
        }),
      ),
    thread: (account: number, where: SearchIn, algorithm: ThreadAlgorithm): ThreadNode[] | undefined =>
      whole(account, where, () =>
        threadMessages(found(account, where), algorithm, new Snapshot(where.data), storeOf(account)),
      ),
  };
}

const nothing = Buffer.alloc(0);

const readers: Readonly<Record<FactKind, (octets: Buffer) => Omit<Packed, 'key'>>> = {
  head(octets) {
    const { header, ...values } = readHead(octets);
    return { values, octets: header };
  },
  structure: (octets) => ({ values: { ...readStructure(octets) }, octets: nothing }),
  text(octets) {
    const { text, ...values } = readText(octets);
    return { values, octets: text };
  },
};
