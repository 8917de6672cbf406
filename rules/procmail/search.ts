/** Finds a procmail expression in octets: in one pass, with the sets of states that were met before remembered. */
import { procmailLimits } from '../../core/base/limits/rules.ts';
import type { Pattern } from './pattern.ts';

/** Symbols beside the 256 octets: the places of the anchors. */
const begin = 256;
const end = 257;
const newline = 10;

/** A set of states, and where each symbol leads from it. */
interface Step {
  readonly states: readonly number[];
  readonly accepts: boolean;
  readonly next: (Step | undefined)[];
}

/** Texts that were looked at before, in lower case. */
const lowered = new WeakMap<Uint8Array, string>();

export class Search {
  readonly pattern: Pattern;
  #steps = new Map<string, Step>();
  #first: Step | undefined;

  constructor(pattern: Pattern) {
    this.pattern = pattern;
  }

  /**
   * Where the match that ends first ends, looking from `from` on.
   * @returns the offset past its last octet, which may be the newline after the text; -1 where there is none
   */
  find(text: Uint8Array, from = 0): number {
    if (from === 0 && this.#lacksRequired(text)) return -1;
    let step = this.#start();
    if (step.accepts) return from;
    const follow = (symbol: number) => {
      step = step.next[symbol] ?? this.#follow(step, symbol);
      return step.accepts;
    };
    // A newline that a match before used up can begin the next one.
    if ((from === 0 || text[from - 1] === newline) && follow(newline)) return from;
    if (from === 0 && follow(begin)) return from;
    for (let at = from; at < text.length; at++) if (follow(text[at]!)) return at + 1;
    if (follow(end)) return text.length;
    return follow(newline) ? text.length + 1 : -1;
  }

  /** Most expressions of most mails are done with here. */
  #lacksRequired(text: Uint8Array): boolean {
    const { required } = this.pattern;
    if (required === undefined || text.length > procmailLimits.loweredOctetsMax) return false;
    let lower = lowered.get(text);
    if (lower === undefined) {
      lower = Buffer.from(text.buffer, text.byteOffset, text.length).toString('latin1').toLowerCase();
      lowered.set(text, lower);
    }
    return !lower.includes(required);
  }

  #start(): Step {
    this.#first ??= this.#step(this.#closure([this.pattern.start]));
    return this.#first;
  }

  #follow(from: Step, symbol: number): Step {
    const reached: number[] = [this.pattern.start];
    for (const number of from.states) {
      const state = this.pattern.states[number]!;
      if (state.kind === 'octet') {
        if (symbol >= begin) reached.push(number);
        else if (state.set[symbol] === 1) reached.push(state.next);
      } else if (state.kind === 'anchor') {
        if (symbol === (state.at === 'begin' ? begin : end)) reached.push(state.next);
        // What waits for the end of the text passes its beginning, where it began with the newline before it.
        else if (symbol === begin) reached.push(number);
      }
    }
    const next = this.#step(this.#closure(reached));
    from.next[symbol] = next;
    return next;
  }

  /** Bounded memory: past the limit all that was remembered is forgotten, and found again as it is met. */
  #step(states: readonly number[]): Step {
    const key = states.join();
    const known = this.#steps.get(key);
    if (known !== undefined) return known;
    if (this.#steps.size >= procmailLimits.patternStepsMax) {
      this.#steps = new Map();
      this.#first = undefined;
    }
    const accepts = states.some((number) => this.pattern.states[number]!.kind === 'accept');
    const step: Step = { states, accepts, next: new Array<Step | undefined>(258) };
    this.#steps.set(key, step);
    return step;
  }

  #closure(from: readonly number[]): number[] {
    const seen = new Set<number>();
    const open = [...from];
    for (let number = open.pop(); number !== undefined; number = open.pop()) {
      if (seen.has(number)) continue;
      seen.add(number);
      const state = this.pattern.states[number]!;
      if (state.kind === 'split') open.push(state.next, state.other);
      else if (state.kind === 'mark') open.push(state.next);
    }
    const { states } = this.pattern;
    return [...seen]
      .filter((number) => states[number]!.kind !== 'split' && states[number]!.kind !== 'mark')
      .sort((one, other) => one - other);
  }
}

/** What a `\/` in an expression leaves for MATCH. */
export interface Extract {
  readonly start: number;
  readonly end: number;
}

interface Thread {
  readonly state: number;
  /** Where it began, and where it passed the `\/`; -1 before that. */
  readonly began: number;
  readonly mark: number;
}

/**
 * The match that begins first; of those the one whose left part is shortest; of those the longest. Undefined where the
 * expression does not match.
 */
export function extract({ states, start }: Pattern, text: Uint8Array): Extract | undefined {
  let threads: Thread[] = [];
  let best: { began: number; mark: number; end: number } | undefined;

  /** Follows what consumes nothing; earlier threads are better, and the first in a state stays. */
  function spread(into: Thread[], seen: Set<number>, thread: Thread, at: number): void {
    const open = [thread];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (seen.has(next.state)) continue;
      seen.add(next.state);
      const state = states[next.state]!;
      if (state.kind === 'split') {
        open.push({ ...next, state: state.other }, { ...next, state: state.next });
      } else if (state.kind === 'mark') {
        open.push({ ...next, state: state.next, mark: Math.max(0, at) });
      } else if (state.kind === 'accept') {
        const { began, mark } = next;
        if (best === undefined || (began === best.began && mark === best.mark))
          best = { began, mark, end: at };
        else if (isBefore(next, best)) best = { began, mark, end: at };
      } else {
        into.push(next);
      }
    }
  }

  /** @param at offset of what follows the symbol */
  function consume(symbol: number, at: number): void {
    const next: Thread[] = [];
    const seen = new Set<number>();
    for (const thread of threads) {
      if (best !== undefined && isBefore(best, thread)) continue;
      const state = states[thread.state]!;
      const passes =
        state.kind === 'octet'
          ? symbol >= begin || state.set[symbol] === 1
          : state.kind === 'anchor' && (symbol === begin || (symbol === end && state.at === 'end'));
      if (!passes) continue;
      const waits =
        state.kind === 'octet'
          ? symbol >= begin
          : state.kind === 'anchor' && state.at === 'end' && symbol === begin;
      spread(next, seen, { ...thread, state: waits ? thread.state : (state as { next: number }).next }, at);
    }
    if (best === undefined) spread(next, seen, { state: start, began: at, mark: -1 }, at);
    next.sort((one, other) => one.began - other.began || markOrder(one) - markOrder(other));
    threads = next;
  }

  spread(threads, new Set(), { state: start, began: -1, mark: -1 }, -1);
  consume(newline, 0);
  consume(begin, 0);
  for (let at = 0; at < text.length && (best === undefined || threads.length > 0); at++)
    consume(text[at]!, at + 1);
  consume(end, text.length);
  consume(newline, text.length + 1);
  if (best === undefined) return undefined;
  const { mark, end: last } = best;
  return { start: Math.min(Math.max(0, mark), text.length), end: Math.min(Math.max(0, last), text.length) };
}

/** A thread that has not passed its `\/` may still pass it anywhere. */
function markOrder({ mark }: Pick<Thread, 'mark'>): number {
  return mark < 0 ? Number.POSITIVE_INFINITY : mark;
}

function isBefore(
  one: { readonly began: number; readonly mark: number },
  other: { readonly began: number; readonly mark: number },
): boolean {
  if (one.began !== other.began) return one.began < other.began;
  return markOrder(one) < markOrder(other);
}
