/**
 * What is known of an account's messages, in two threads that read at the same time: one has structures, which only lists
 * need; the other headers and texts, in which it searches.
 */
import { type FactKind, kindOfField, kindsOf } from './index/fact-kind.ts';
import type { FactRow } from './index/fact-store.ts';
import type { FactField } from './mailbox.ts';
import type { SortCriterion, ThreadAlgorithm, ThreadNode } from './search-query.ts';
import type { Caller } from './threads/calls.ts';
import type { Found, IndexCalls, ReadFacts, SearchIn } from './threads/index-calls.ts';

export type IndexCaller = Pick<Caller<IndexCalls, never>, 'call'>;

export class AccountIndex {
  readonly #account: number;
  readonly #searcher: IndexCaller;
  readonly #structures: IndexCaller;

  constructor(account: number, searcher: IndexCaller, structures: IndexCaller) {
    this.#account = account;
    this.#searcher = searcher;
    this.#structures = structures;
  }

  async open(user: string): Promise<void> {
    await this.#both((index) => index.call('openAccount', [this.#account, user]));
  }

  async close(): Promise<void> {
    await this.#both((index) => index.call('closeAccount', [this.#account]));
  }

  missing(keys: Float64Array, kind: FactKind): Promise<number[]> {
    return this.#of(kind).call('missing', [this.#account, keys, kind]);
  }

  /** Reads what is not known yet of these messages. @param folder id of the folder in which they are */
  async read(
    folder: string,
    items: readonly Found[],
    kinds: readonly FactKind[],
    fields: readonly FactField[],
  ): Promise<ReadFacts> {
    const parts = await this.#apart(kinds, fields, (index, some) =>
      index.call('read', [this.#account, folder, items, some]),
    );
    // Where both were asked, the last has the sizes.
    return { rows: joined(parts.map(({ rows }) => rows)), sizes: parts.at(-1)!.sizes };
  }

  /** One for each key, the fields asked for; undefined where something of it is not known yet. */
  async facts(keys: readonly number[], fields: readonly FactField[]): Promise<(FactRow | undefined)[]> {
    const parts = await this.#apart(kindsOf(fields), fields, (index, some) =>
      index.call('facts', [this.#account, keys, some.fields]),
    );
    return joined(parts);
  }

  /** Removes what nothing in that folder needs any more. */
  async sweep(folder: string, keys: Float64Array): Promise<void> {
    await this.#both((index) => index.call('sweep', [this.#account, folder, keys]));
  }

  search(where: SearchIn): Promise<Uint32Array | undefined> {
    return this.#searcher.call('search', [this.#account, where]);
  }

  sort(where: SearchIn, criteria: readonly SortCriterion[]): Promise<Uint32Array | undefined> {
    return this.#searcher.call('sort', [this.#account, where, criteria]);
  }

  thread(where: SearchIn, algorithm: ThreadAlgorithm): Promise<ThreadNode[] | undefined> {
    return this.#searcher.call('thread', [this.#account, where, algorithm]);
  }

  #of(kind: FactKind): IndexCaller {
    return kind === 'structure' ? this.#structures : this.#searcher;
  }

  #both(work: (index: IndexCaller) => Promise<void>): Promise<void[]> {
    return Promise.all([work(this.#searcher), work(this.#structures)]);
  }

  /** Each thread is asked for what is its own; the searcher's answer is the first of two. */
  #apart<T>(
    kinds: readonly FactKind[],
    fields: readonly FactField[],
    work: (
      index: IndexCaller,
      some: { kinds: readonly FactKind[]; fields: readonly FactField[] },
    ) => Promise<T>,
  ): Promise<T[]> {
    const parts = [this.#searcher, this.#structures].flatMap((index) => {
      const own = kinds.filter((kind) => this.#of(kind) === index);
      if (own.length === 0) return [];
      return [
        work(index, { kinds: own, fields: fields.filter((field) => own.includes(kindOfField[field])) }),
      ];
    });
    return Promise.all(parts);
  }
}

function joined(parts: readonly (readonly (FactRow | undefined)[])[]): (FactRow | undefined)[] {
  const [first = [], second] = parts;
  if (!second) return [...first];
  return first.map((row, at) => row && second[at] && { ...row, ...second[at] });
}
