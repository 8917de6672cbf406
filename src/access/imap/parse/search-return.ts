/** How a search's result is to be told: RETURN (...). RFC 9051 section 6.4.4, RFC 4731, 5182, 5267, 6203, 9394. */
import { bad } from '../refusal.ts';
import type { Cursor } from './cursor.ts';
import { type PartialResult, readPartialResult } from './partial.ts';

export interface SearchReturn {
  readonly options: ReadonlySet<ReturnOption>;
  readonly partial: PartialResult | undefined;
}

const returnOptions = ['MIN', 'MAX', 'ALL', 'COUNT', 'SAVE', 'CONTEXT', 'UPDATE', 'RELEVANCY'] as const;
export type ReturnOption = (typeof returnOptions)[number];

/** Undefined where the command has none. To be called at the space behind the command. */
export function readSearchReturn(input: Cursor): SearchReturn | undefined {
  if (!input.skip(' RETURN (')) return undefined;
  const options = new Set<ReturnOption>();
  let partial: PartialResult | undefined;
  if (!input.skip(')')) {
    do {
      const name = input.word();
      if (name === 'PARTIAL') {
        input.space();
        partial = readPartialResult(input);
        continue;
      }
      const option = returnOptions.find((each) => each === name);
      if (!option) throw bad(`there is no return option ${name.slice(0, 40)}`);
      options.add(option);
    } while (input.skip(' '));
    input.expect(')');
  }
  // RFC 9394 section 3.1: one of them.
  if (partial && options.has('ALL')) throw bad('PARTIAL and ALL exclude each other');
  const asksForResult =
    partial || ['MIN', 'MAX', 'ALL', 'COUNT', 'SAVE'].some((name) => options.has(name as ReturnOption));
  // RFC 4731 section 3.1: () is (ALL).
  if (!asksForResult) options.add('ALL');
  return { options, partial };
}
