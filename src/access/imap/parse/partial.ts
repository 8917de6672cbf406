/** A page of a result: `1:100` from its begin, `-1:-100` from its end. RFC 9394 section 3.1. */
import { bad } from '../refusal.ts';
import type { Cursor } from './cursor.ts';

export interface PartialResult {
  /** From 1; negative counts from the end. Both have one sign, `first` is nearer to its end. */
  readonly first: number;
  readonly last: number;
  /** As the response repeats it. */
  readonly written: string;
}

export function readPartialResult(input: Cursor): PartialResult {
  const written = input.take(/-?[0-9]+:-?[0-9]+/y);
  const [one, other] = written.split(':').map(Number) as [number, number];
  if (written === '' || !one || !other || one < 0 !== other < 0) throw bad('a partial range was expected');
  if (Math.max(Math.abs(one), Math.abs(other)) > 0xffffffff) throw bad('the number is too large');
  const swap = Math.abs(one) > Math.abs(other);
  return { first: swap ? other : one, last: swap ? one : other, written };
}

/** Of numbers in the result's order. */
export function takePartial(numbers: Uint32Array, { first, last }: PartialResult): Uint32Array {
  if (first > 0) return numbers.subarray(first - 1, last);
  return numbers.subarray(Math.max(0, numbers.length + last), Math.max(0, numbers.length + first + 1));
}
