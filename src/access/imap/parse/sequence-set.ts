/** Sets of message numbers and UIDs: `1:3,7,*`, or `$` for the saved result. RFC 9051 section 9, RFC 5182. */
import { imapLimits } from '../../../../core/base/limits/access.ts';
import type { NumberRange } from '../../../mailbox/search-query.ts';
import { bad } from '../refusal.ts';
import type { Cursor } from './cursor.ts';

/** `*` is Infinity. */
export type SequenceSet = 'saved' | readonly (readonly [number, number])[];

export function readSet(input: Cursor): SequenceSet {
  return parseSet(input.set());
}

export function parseSet(text: string): SequenceSet {
  if (text === '$') return 'saved';
  const parts = text.split(',');
  if (parts.length > imapLimits.setRangesMax) throw bad('the set has too many ranges', 'LIMIT');
  return parts.map((part): readonly [number, number] => {
    const ends = part.split(':');
    if (ends.length > 2) throw bad('a set of numbers was expected');
    const first = setNumber(ends[0]!);
    return [first, ends.length === 2 ? setNumber(ends[1]!) : first];
  });
}

function setNumber(text: string): number {
  if (text === '*') return Number.POSITIVE_INFINITY;
  if (!/^[1-9][0-9]{0,9}$/.test(text)) throw bad('a set of numbers was expected');
  const value = Number(text);
  if (value > 0xffffffff) throw bad('the number is too large');
  return value;
}

/** Ascending, disjoint, not touching. @param largest what `*` stands for, 0 when there is nothing */
export function resolveSet(set: Exclude<SequenceSet, 'saved'>, largest: number): NumberRange[] {
  const ranges: NumberRange[] = [];
  for (const [from, to] of set) {
    const first = from === Number.POSITIVE_INFINITY ? largest : from;
    const last = to === Number.POSITIVE_INFINITY ? largest : to;
    // RFC 9051: 3:1 is 1:3, and so is *:3 where there are fewer than 3.
    ranges.push({ first: Math.min(first, last), last: Math.max(first, last) });
  }
  return mergeRanges(ranges);
}

function mergeRanges(ranges: readonly NumberRange[]): NumberRange[] {
  const merged: { first: number; last: number }[] = [];
  for (const { first, last } of [...ranges].sort((a, b) => a.first - b.first)) {
    const open = merged.at(-1);
    if (open && first <= open.last + 1) open.last = Math.max(open.last, last);
    else merged.push({ first, last });
  }
  return merged;
}

export function isInRanges(value: number, ranges: readonly NumberRange[]): boolean {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const range = ranges[middle]!;
    if (value < range.first) high = middle;
    else if (value > range.last) low = middle + 1;
    else return true;
  }
  return false;
}

/** Numbers in ascending order as ranges. */
export function rangesOf(numbers: Iterable<number>): NumberRange[] {
  const ranges: { first: number; last: number }[] = [];
  let open: { first: number; last: number } | undefined;
  for (const value of numbers) {
    if (open && value === open.last + 1) open.last = value;
    else {
      open = { first: value, last: value };
      ranges.push(open);
    }
  }
  return ranges;
}
