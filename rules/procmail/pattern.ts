/** Expressions as graphs of states that are walked breadth first, so that none can run away. */
import { procmailLimits } from '../../core/base/limits/rules.ts';
import { type Expression, newlineSet, type OctetSet, PatternError, parseExpression } from './expression.ts';

/** States by number: what each consumes, or where it leads without consuming anything. */
export type PatternState =
  | { readonly kind: 'octet'; readonly set: OctetSet; next: number }
  /** The first and the last place of the text. */
  | { readonly kind: 'anchor'; readonly at: 'begin' | 'end'; next: number }
  | { readonly kind: 'split'; next: number; other: number }
  | { readonly kind: 'mark'; next: number }
  | { readonly kind: 'accept' };

export interface Pattern {
  readonly states: readonly PatternState[];
  readonly start: number;
  /** It holds a `\/`. */
  readonly marks: boolean;
  /** Text in lower case that is in all that it matches; undefined where there is none. */
  readonly required: string | undefined;
  /** What procmail calls an invalid expression, and makes something of. */
  readonly problem: string | undefined;
}

/** @throws PatternError */
export function compilePattern(expression: string, options: { readonly caseSensitive: boolean }): Pattern {
  const key = `${options.caseSensitive ? 'D' : ' '}${expression}`;
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const { root, problem } = parseExpression(expression, options);
  const pattern = new Compiler().compile(root, problem);
  if (pattern.states.length > procmailLimits.rememberedStatesMax) return pattern;
  if (compiled.size >= procmailLimits.rememberedPatternsMax) compiled.delete(compiled.keys().next().value!);
  compiled.set(key, pattern);
  return pattern;
}

/** By case and text, oldest first: in a server the same expressions meet every mail of their user. */
const compiled = new Map<string, Pattern>();

/** The longest run of octets that stand for themselves, outside of alternatives and repetitions. */
function requiredText(root: Expression): string | undefined {
  let longest = '';
  let run = '';
  const visit = (expression: Expression): void => {
    if (expression.kind === 'sequence') for (const item of expression.items) visit(item);
    else if (expression.kind === 'octet' && expression.literal !== undefined) {
      run += String.fromCharCode(expression.literal);
      if (run.length > longest.length) longest = run;
    } else if (expression.kind !== 'mark') run = '';
  };
  visit(root);
  return longest === '' ? undefined : longest.toLowerCase();
}

/** A piece of the graph: where it begins, and the links that lead out of it. */
interface Fragment {
  readonly start: number;
  readonly outs: readonly ((to: number) => void)[];
}

class Compiler {
  readonly #states: PatternState[] = [];
  #marks = false;

  compile(root: Expression, problem: string | undefined): Pattern {
    const whole = this.#piece(root);
    const accept = this.#add({ kind: 'accept' });
    for (const out of whole.outs) out(accept);
    const required = requiredText(root);
    return { states: this.#states, start: whole.start, marks: this.#marks, required, problem };
  }

  #add(state: PatternState): number {
    if (this.#states.length >= procmailLimits.patternStatesMax)
      throw new PatternError('the expression is too long');
    this.#states.push(state);
    return this.#states.length - 1;
  }

  #piece(expression: Expression): Fragment {
    switch (expression.kind) {
      case 'octet':
        return this.#leading({ kind: 'octet', set: expression.set, next: -1 });
      case 'line-end':
        return this.#leading({ kind: 'octet', set: newlineSet, next: -1 });
      case 'anchor':
        return this.#leading({ kind: 'anchor', at: expression.at, next: -1 });
      case 'mark':
        this.#marks = true;
        return this.#leading({ kind: 'mark', next: -1 });
      case 'sequence':
        return this.#sequence(expression.items);
      case 'alternatives':
        return this.#alternatives(expression.items);
      case 'repeat':
        return this.#repeated(this.#piece(expression.item), expression.sign);
    }
  }

  #alternatives(items: readonly Expression[]): Fragment {
    let all: Fragment | undefined;
    for (const item of items) {
      const other = this.#piece(item);
      if (all === undefined) all = other;
      else {
        const start = this.#add({ kind: 'split', next: all.start, other: other.start });
        all = { start, outs: [...all.outs, ...other.outs] };
      }
    }
    return all ?? this.#nothing();
  }

  #sequence(items: readonly Expression[]): Fragment {
    let whole: Fragment | undefined;
    for (const item of items) {
      const piece = this.#piece(item);
      if (whole === undefined) whole = piece;
      else {
        for (const out of whole.outs) out(piece.start);
        whole = { start: whole.start, outs: piece.outs };
      }
    }
    return whole ?? this.#nothing();
  }

  #nothing(): Fragment {
    const state = { kind: 'split' as const, next: -1, other: -1 };
    const start = this.#add(state);
    const out = (to: number) => {
      state.next = to;
      state.other = to;
    };
    return { start, outs: [out] };
  }

  #repeated(atom: Fragment, sign: '*' | '+' | '?'): Fragment {
    const state = { kind: 'split' as const, next: atom.start, other: -1 };
    const start = this.#add(state);
    const leave = (to: number) => {
      state.other = to;
    };
    if (sign === '?') return { start, outs: [...atom.outs, leave] };
    for (const out of atom.outs) out(start);
    return { start: sign === '*' ? start : atom.start, outs: [leave] };
  }

  #leading(state: Exclude<PatternState, { kind: 'accept' }>): Fragment {
    const start = this.#add(state);
    const out = (to: number) => {
      state.next = to;
    };
    return { start, outs: [out] };
  }
}
