/** SORT: messages that match, in the order asked for. RFC 5256 section 3, RFC 5957. */
import type { FilledColumn } from '../mailbox.ts';
import type { SortCriterion, SortKey } from '../search-query.ts';
import { lowerBound, type Snapshot } from '../snapshot.ts';
import type { FactSource } from './match.ts';

/** Columns that must be filled before. */
export function columnsForSort(criteria: readonly SortCriterion[]): FilledColumn[] {
  const columns: FilledColumn[] = [];
  // A message without a Date is sorted by its arrival.
  if (criteria.some(({ by }) => by === 'arrival' || by === 'date')) columns.push('internalDate');
  if (criteria.some(({ by }) => by === 'size')) columns.push('size');
  return columns;
}

export function sortNeedsFacts(criteria: readonly SortCriterion[]): boolean {
  return criteria.some(({ by }) => by !== 'arrival' && by !== 'size');
}

/**
 * Places of values in their order, as numbers, for the messages that were sorted last: what a message says never changes,
 * so that a list that is sorted again is compared by numbers alone.
 */
export class SortRanks {
  readonly #ranks = new Map<SortKey, ReadonlyMap<number, number>>();

  /** By key of message; NaN where nothing is said. @param keys of all that are to be compared */
  of(by: TextKey | 'date', keys: Float64Array, facts: FactSource): ReadonlyMap<number, number> {
    const known = this.#ranks.get(by);
    if (known && keys.every((key) => known.has(key))) return known;
    const ranks = by === 'date' ? datesOf(keys, facts) : ranksOf(by, keys, facts);
    // What is not known yet will be.
    if (keys.every((key) => facts.sort(key) !== undefined)) this.#ranks.set(by, ranks);
    return ranks;
  }
}

function datesOf(keys: Float64Array, facts: FactSource): Map<number, number> {
  const dates = new Map<number, number>();
  for (const key of keys) dates.set(key, facts.sort(key)?.sentAt ?? Number.NaN);
  return dates;
}

function ranksOf(by: TextKey, keys: Float64Array, facts: FactSource): Map<number, number> {
  // RFC 5256 section 2.2: i;unicode-casemap compares capitals, so that `[` comes after the letters.
  const texts = Array.from(keys, (key) => (facts.sort(key)?.[by] ?? '').toUpperCase());
  const rankOf = new Map([...new Set(texts)].sort(compare).map((text, rank) => [text, rank]));
  return new Map(texts.map((text, at) => [keys[at]!, rankOf.get(text)!]));
}

type TextKey = Exclude<SortKey, 'arrival' | 'date' | 'size'>;

export interface SortIn {
  readonly snapshot: Snapshot;
  readonly facts: FactSource;
  readonly ranks: SortRanks;
}

/** @param uids of messages that are there */
export function sortMessages(
  uids: Uint32Array,
  criteria: readonly SortCriterion[],
  where: SortIn,
): Uint32Array {
  const indexes = uids.map((uid) => where.snapshot.indexOf(uid));
  const count = indexes.length;
  // Each criterion counts more than all after it, and the number of a message least. Everything stays below count².
  let places = new Float64Array(count);
  for (const { by, reverse } of criteria) {
    const values = placesOf(sortValues(by, indexes, where));
    const next = values.map((value, at) => places[at]! * count + (reverse ? count - 1 - value : value));
    places = placesOf(next);
  }
  // RFC 5256 section 3: equal ones in the order of their numbers, whatever is reversed.
  const order = places.map((place, at) => place * count + at).sort();
  return uids.map((_, at) => uids[order[at]! % count]!);
}

/** For each value how many are less. Numbers are sorted without a call for each pair. */
function placesOf(values: Float64Array): Float64Array<ArrayBuffer> {
  const sorted = values.slice().sort();
  return numbers(values.length, (at) => lowerBound(sorted, sorted.length, values[at]!));
}

/** Numbers that compare as the messages do. */
function sortValues(by: SortKey, indexes: Uint32Array, { snapshot, facts, ranks }: SortIn): Float64Array {
  const { internalDate, size, key } = snapshot.data.columns;
  if (by === 'arrival' || by === 'size') {
    const valueAt = (index: number) => (by === 'size' ? size[index]! : toldDate(internalDate[index]!));
    return numbers(indexes.length, (at) => valueAt(indexes[at]!) || 0);
  }
  const keys = numbers(indexes.length, (at) => key[indexes[at]!]!);
  const known = ranks.of(by, keys, facts);
  return numbers(keys.length, (at) => {
    const value = known.get(keys[at]!)!;
    return by === 'date' && Number.isNaN(value) ? toldDate(internalDate[indexes[at]!]!) || 0 : value;
  });
}

/** Without the iterators of `Float64Array.from`, which take ten times as long. */
function numbers(count: number, of: (at: number) => number): Float64Array<ArrayBuffer> {
  const values = new Float64Array(count);
  for (let at = 0; at < count; at += 1) values[at] = of(at);
  return values;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** To the second, as INTERNALDATE tells it: what a client sees as equal is in the order of its numbers. */
export function toldDate(epochMs: number): number {
  return Math.floor(epochMs / 1000) * 1000;
}
