/** SORT: messages that match, in the order asked for. RFC 5256 section 3, RFC 5957. */
import type { SortFacts } from '../index/read-facts.ts';
import type { FilledColumn } from '../mailbox.ts';
import type { SortCriterion, SortKey } from '../search-query.ts';
import type { Snapshot } from '../snapshot.ts';
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

/** @param uids of messages that are there */
export function sortMessages(
  uids: Uint32Array,
  criteria: readonly SortCriterion[],
  snapshot: Snapshot,
  facts: FactSource,
): Uint32Array {
  const wantsFacts = sortNeedsFacts(criteria);
  const messages = [...uids].map((uid, at) => {
    const index = snapshot.indexOf(uid);
    const known = wantsFacts ? facts.sort(snapshot.data.columns.key[index]!) : undefined;
    return { uid, at, values: criteria.map(({ by }) => sortValue(by, index, snapshot, known)) };
  });
  messages.sort((a, b) => {
    for (let n = 0; n < criteria.length; n += 1) {
      const order = compare(a.values[n]!, b.values[n]!);
      if (order !== 0) return criteria[n]!.reverse ? -order : order;
    }
    // RFC 5256 section 3: equal ones in the order of their numbers, whatever is reversed.
    return a.at - b.at;
  });
  return Uint32Array.from(messages, ({ uid }) => uid);
}

function sortValue(
  by: SortKey,
  index: number,
  snapshot: Snapshot,
  facts: SortFacts | undefined,
): string | number {
  const { internalDate, size } = snapshot.data.columns;
  switch (by) {
    case 'arrival':
      return toldDate(internalDate[index]!);
    case 'size':
      return size[index]!;
    case 'date':
      return facts?.sentAt ?? toldDate(internalDate[index]!);
    default:
      return facts?.[by] ?? '';
  }
}

/** To the second, as INTERNALDATE tells it: what a client sees as equal is in the order of its numbers. */
export function toldDate(epochMs: number): number {
  return Math.floor(epochMs / 1000) * 1000;
}

function compare(a: string | number, b: string | number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
