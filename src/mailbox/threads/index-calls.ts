/** What the index thread answers: facts and searches, from its files and the snapshots that it is given. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../../core/base/clock.ts';
import { errnoOf } from '../../../core/base/errors.ts';
import { indexLimits } from '../../../core/base/limits/mailbox.ts';
import type { Log } from '../../../core/base/log.ts';
import { withLf } from '../crlf.ts';
import type { MessagePlace } from '../engine.ts';
import { type FactRecord, type FactRow, FactStore } from '../index/fact-store.ts';
import { readEnvelope, readFacts, readGlance } from '../index/read-facts.ts';
import type { FactField } from '../mailbox.ts';
import { search } from '../search/match.ts';
import { sortMessages } from '../search/sort.ts';
import { threadMessages } from '../search/thread.ts';
import type { SearchQuery, SortCriterion, ThreadAlgorithm, ThreadNode } from '../search-query.ts';
import { Snapshot, type SnapshotData } from '../snapshot.ts';
import { indexName } from './store-calls.ts';

export interface Glance {
  readonly facts: FactRow;
  /** Octets with CRLF line ends, where the whole message was looked at. */
  readonly size?: number;
}

/** The folder as one session sees it. */
export interface SearchIn {
  readonly account: number;
  readonly data: SnapshotData;
  /** UIDs of the view by number - 1; the snapshot's own where nothing is held back. */
  readonly uids: Uint32Array;
  readonly query: SearchQuery;
  /** What could be read was read just now: messages without facts are gone. */
  readonly surely: boolean;
}

export type IndexCalls = ReturnType<typeof createIndexCalls>;

export function createIndexCalls(indexDirectory: string, clock: Clock, log: Log) {
  const stores = new Map<number, FactStore>();

  function storeOf(account: number): FactStore {
    const store = stores.get(account);
    if (!store) throw new Error(`no account ${account}`);
    return store;
  }

  function found({ account, data, uids, query }: SearchIn): Uint32Array {
    const snapshot = new Snapshot(data);
    return search(query, { snapshot, uids, now: clock.now(), facts: storeOf(account) });
  }

  /** Undefined when facts that are needed are missing, or were lost meanwhile: they are to be read and it is to be asked again. */
  function whole<T>({ account, data, uids, surely }: SearchIn, work: () => T): T | undefined {
    const store = storeOf(account);
    const { generation } = store;
    const keys = data.columns.key.subarray(0, data.count);
    if (!surely && uids.length > 0 && store.missing(keys).length > 0) return undefined;
    const answer = work();
    return store.generation === generation ? answer : undefined;
  }

  return {
    openAccount(account: number, user: string): void {
      stores.set(account, new FactStore(join(indexDirectory, indexName(user), 'texts.db'), log));
    },
    closeAccount(account: number): void {
      storeOf(account).close();
      stores.delete(account);
    },
    missing: (account: number, keys: Float64Array) => storeOf(account).missing(keys),
    /**
     * Reads messages and keeps their facts.
     * @returns for each its octets with CRLF line ends, NaN when it was not where it should be
     */
    add(account: number, folder: string, items: readonly { key: number; place: MessagePlace }[]): number[] {
      const records: FactRecord[] = [];
      const sizes = items.map(({ key, place }) => {
        const octets = octetsAt(place);
        if (!octets) return Number.NaN;
        const facts = readFacts(withLf(octets));
        records.push({ key, facts });
        return facts.size;
      });
      storeOf(account).add(folder, records);
      return sizes;
    },
    /** What lists show, nothing kept: for many at once. Undefined for what was not where it should be. */
    glance(
      places: readonly (MessagePlace | undefined)[],
      of: 'envelope' | 'structure',
    ): (Glance | undefined)[] {
      return places.map((place) => {
        if (of === 'structure') {
          const octets = place && octetsAt(place);
          return octets && readGlance(withLf(octets));
        }
        const header = place && headerAt(place);
        return header && { facts: { envelope: readEnvelope(header) } };
      });
    },
    /** Texts that were not asked for are ''. */
    facts: (
      account: number,
      keys: readonly number[],
      fields: readonly FactField[],
    ): (FactRow | undefined)[] => storeOf(account).facts(keys, fields),
    sweep: (account: number, folder: string, keys: Float64Array) => storeOf(account).sweep(folder, keys),
    search: (where: SearchIn): Uint32Array | undefined => whole(where, () => found(where)),
    sort: (where: SearchIn, criteria: readonly SortCriterion[]): Uint32Array | undefined =>
      whole(where, () =>
        sortMessages(found(where), criteria, new Snapshot(where.data), storeOf(where.account)),
      ),
    thread: (where: SearchIn, algorithm: ThreadAlgorithm): ThreadNode[] | undefined =>
      whole(where, () =>
        threadMessages(found(where), algorithm, new Snapshot(where.data), storeOf(where.account)),
      ),
  };
}

/** The begin of a message, its header in it; undefined when another program moved it. */
function headerAt(place: MessagePlace): Buffer | undefined {
  if ('octets' in place) return bufferOf(place.octets);
  let fd: number;
  try {
    fd = openSync(place.path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const read = readSync(fd, headerBuffer, 0, headerBuffer.length, 0);
    const begin = headerBuffer.subarray(0, read);
    // A header that does not end there is read with all the rest.
    if (read < headerBuffer.length || /\n\r?\n/.test(begin.toString('latin1'))) return begin;
    return readFileSync(place.path);
  } finally {
    closeSync(fd);
  }
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

const headerBuffer = Buffer.allocUnsafe(indexLimits.headerBytes);

/** Octets as stored; undefined when another program moved them. Not to be kept: the next one takes their place. */
function octetsAt(place: MessagePlace): Uint8Array | undefined {
  if ('octets' in place) return place.octets;
  let fd: number;
  try {
    fd = openSync(place.path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const read = readSync(fd, messageBuffer, 0, messageBuffer.length, 0);
    return read < messageBuffer.length ? messageBuffer.subarray(0, read) : readFileSync(place.path);
  } finally {
    closeSync(fd);
  }
}

const messageBuffer = Buffer.allocUnsafeSlow(indexLimits.messageBytes);
