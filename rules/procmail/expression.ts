/**
 * procmail's own regular expressions as trees. As egrep's, with these differences: `^` and `$` both match a newline, and
 * the text has one before its first octet and one after its last; `^^` at either end of the expression anchors it there;
 * `\<` and `\>` match one octet that is no part of a word, a newline too; `\/` begins what goes into MATCH. procmailrc(5).
 */
import { procmailLimits } from '../../core/base/limits/rules.ts';
import { expandMacros } from './macros.ts';

/** 1 at every octet that may stand there. */
export type OctetSet = Uint8Array;

export type Expression =
  | {
      readonly kind: 'octet';
      readonly set: OctetSet;
      /** The octet as it was written, where it stood for itself. */
      readonly literal?: number;
    }
  /** `^` and `$`: a newline. */
  | { readonly kind: 'line-end' }
  /** The first and the last place of the text. */
  | { readonly kind: 'anchor'; readonly at: 'begin' | 'end' }
  | { readonly kind: 'mark' }
  | { readonly kind: 'sequence'; readonly items: readonly Expression[] }
  /** The first one is preferred where MATCH could be either's. */
  | { readonly kind: 'alternatives'; readonly items: readonly Expression[] }
  | { readonly kind: 'repeat'; readonly sign: '*' | '+' | '?'; readonly item: Expression };

export interface ParsedExpression {
  readonly root: Expression;
  /** What procmail calls an invalid expression, and makes something of. */
  readonly problem: string | undefined;
}

/** An expression past what the limits allow: its recipe does not match. */
export class PatternError extends Error {}

/** @param expression an octet a character  @throws PatternError where groups are nested too deeply */
export function parseExpression(
  expression: string,
  options: { readonly caseSensitive: boolean },
): ParsedExpression {
  return new Parser(expandMacros(expression), options.caseSensitive).parse();
}

const newline = 10;
export const newlineSet: OctetSet = setOf(newline);

class Parser {
  readonly #text: string;
  readonly #caseSensitive: boolean;
  #at = 0;
  #depth = 0;
  #problem: string | undefined;

  constructor(text: string, caseSensitive: boolean) {
    this.#text = text;
    this.#caseSensitive = caseSensitive;
  }

  parse(): ParsedExpression {
    const root = this.#alternatives();
    if (this.#at < this.#text.length) this.#problem ??= 'a ")" too many: the expression ends there';
    return { root, problem: this.#problem };
  }

  #alternatives(): Expression {
    this.#depth += 1;
    if (this.#depth > procmailLimits.patternDepthMax) throw new PatternError('nested too deeply');
    const items = [this.#sequence()];
    while (this.#text[this.#at] === '|') {
      this.#at += 1;
      items.push(this.#sequence());
    }
    this.#depth -= 1;
    return items.length === 1 ? items[0]! : { kind: 'alternatives', items };
  }

  #sequence(): Expression {
    const items: Expression[] = [];
    while (this.#at < this.#text.length && !'|)'.includes(this.#text[this.#at]!)) {
      items.push(this.#repeated(this.#atom()));
    }
    return items.length === 1 ? items[0]! : { kind: 'sequence', items };
  }

  /** A second sign after the first stands for itself. */
  #repeated(item: Expression): Expression {
    const sign = this.#text[this.#at];
    if (sign !== '*' && sign !== '+' && sign !== '?') return item;
    this.#at += 1;
    return { kind: 'repeat', sign, item };
  }

  #atom(): Expression {
    const character = this.#text[this.#at]!;
    const isFirst = this.#at === 0;
    this.#at += 1;
    switch (character) {
      case '(': {
        const inner = this.#alternatives();
        if (this.#text[this.#at] === ')') this.#at += 1;
        else this.#problem ??= 'a "(" is never closed';
        return inner;
      }
      case '[':
        return { kind: 'octet', set: this.#bracket() };
      case '.':
        return { kind: 'octet', set: anySet };
      case '^':
        if (this.#text[this.#at] === '^') {
          if (isFirst) return this.#anchor('begin');
          if (this.#at === this.#text.length - 1) return this.#anchor('end');
        }
        return { kind: 'line-end' };
      case '$':
        return { kind: 'line-end' };
      case '\\':
        return this.#escaped();
      default:
        return this.#letter(character);
    }
  }

  #anchor(at: 'begin' | 'end'): Expression {
    this.#at += 1;
    return { kind: 'anchor', at };
  }

  #escaped(): Expression {
    const character = this.#text[this.#at];
    if (character === undefined) return this.#letter('\\');
    this.#at += 1;
    if (character === '<' || character === '>') return { kind: 'octet', set: notInWordSet };
    if (character === '/') return { kind: 'mark' };
    return this.#letter(character);
  }

  #letter(character: string): Expression {
    const literal = character.charCodeAt(0) & 0xff;
    return { kind: 'octet', set: (this.#caseSensitive ? exactSets : caselessSets)[literal]!, literal };
  }

  #bracket(): OctetSet {
    const negated = this.#text[this.#at] === '^';
    if (negated) this.#at += 1;
    const set = new Uint8Array(256);
    const first = this.#at;
    for (;;) {
      const character = this.#text[this.#at];
      // What is never closed ends with the expression.
      if (character === undefined) this.#problem ??= 'a "[" is never closed';
      if (character === undefined || (character === ']' && this.#at > first)) break;
      this.#at += 1;
      const low = character.charCodeAt(0) & 0xff;
      const high = this.#rangeEnd() ?? low;
      // Of a range the wrong way round the two ends are left.
      set[high] = 1;
      set[low] = 1;
      for (let octet = low; octet <= high; octet++) set[octet] = 1;
    }
    this.#at += 1;
    const whole = this.#caseSensitive ? set : withBothCases(set);
    if (!negated) return whole;
    const rest = whole.map((has) => 1 - has);
    rest[newline] = 0;
    return rest;
  }

  /** After the first octet of a range: the last one, and past it. */
  #rangeEnd(): number | undefined {
    const end = this.#text[this.#at + 1];
    if (this.#text[this.#at] !== '-' || end === undefined || end === ']') return undefined;
    this.#at += 2;
    return end.charCodeAt(0) & 0xff;
  }
}

function setOf(octet: number): OctetSet {
  const set = new Uint8Array(256);
  set[octet] = 1;
  return set;
}

function allBut(octet: number): OctetSet {
  const set = new Uint8Array(256).fill(1);
  set[octet] = 0;
  return set;
}

/** Not [a-zA-Z0-9_]. */
function notInWord(): OctetSet {
  return new Uint8Array(256).map((_, octet) => (/\w/.test(String.fromCharCode(octet)) ? 0 : 1));
}

function withBothCases(set: OctetSet): OctetSet {
  const both = set.slice();
  for (let lower = 97; lower <= 122; lower++) {
    const has = set[lower]! | set[lower - 32]!;
    both[lower] = has;
    both[lower - 32] = has;
  }
  return both;
}

/** Made once: expressions are full of them, and nobody changes them. */
const exactSets = Array.from({ length: 256 }, (_, octet) => setOf(octet));
const caselessSets = exactSets.map(withBothCases);
const anySet = allBut(newline);
const notInWordSet = notInWord();
