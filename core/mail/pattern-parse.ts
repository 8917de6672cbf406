/**
 * Reads an ECMAScript regular expression (ECMA-262 section 22.2.1, with the permissive braces and brackets of its
 * Annex B) into a tree. One dialect, whichever engine runs the pattern afterwards.
 */
import { OperationalError } from '../base/errors.ts';
import { patternLimits } from '../base/limits/rules.ts';
import {
  type CharSet,
  complement,
  digits,
  everyChar,
  foldsIntoAscii,
  lineTerminators,
  spaces,
  union,
  wordChars,
} from './char-set.ts';

export type PatternNode =
  | {
      readonly type: 'set';
      readonly ranges: CharSet;
      readonly negated: boolean;
      /** `\p{...}`, name and value as written; what they hold is known to the engines alone. */
      readonly properties: readonly { readonly name: string; readonly negated: boolean }[];
    }
  | { readonly type: 'sequence'; readonly items: readonly PatternNode[] }
  | { readonly type: 'choice'; readonly branches: readonly PatternNode[] }
  | {
      readonly type: 'repeat';
      readonly body: PatternNode;
      readonly min: number;
      /** Infinity for `*`, `+` and `{n,}`. */
      readonly max: number;
      readonly lazy: boolean;
    }
  | {
      readonly type: 'group';
      readonly body: PatternNode;
      readonly capture: boolean;
      readonly name?: string;
    }
  | { readonly type: 'assert'; readonly at: 'start' | 'end' | 'boundary' | 'notBoundary' }
  | {
      readonly type: 'look';
      readonly body: PatternNode;
      readonly behind: boolean;
      readonly negated: boolean;
    };

export interface PatternFlags {
  readonly ignoreCase: boolean;
  readonly multiline: boolean;
  readonly dotAll: boolean;
}

/** A pattern that cannot be used: wrong syntax, too large, or not to be run in bounded time. Never temporary. */
export class PatternError extends OperationalError {
  constructor(source: string, problem: string, offset?: number) {
    const where = offset === undefined ? '' : ` at character ${offset + 1}`;
    super('bad-pattern', `pattern /${shorten(source)}/: ${problem}${where}`, {
      temporary: false,
      facts: { pattern: shorten(source), problem },
    });
    this.name = 'PatternError';
  }
}

/** Throws PatternError. */
export function parsePattern(source: string, flags: PatternFlags): PatternNode {
  if (source.length > patternLimits.sourceCharsMax) {
    throw new PatternError(source, `longer than ${patternLimits.sourceCharsMax} characters`);
  }
  return new Parser(source, flags).parse();
}

function shorten(source: string): string {
  return source.length > 80 ? `${source.slice(0, 77)}...` : source;
}

type SetNode = Extract<PatternNode, { type: 'set' }>;

const controlEscapes: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, '0': 0 };

class Parser {
  readonly #source: string;
  readonly #flags: PatternFlags;
  #at = 0;
  #depth = 0;
  readonly #names = new Set<string>();

  constructor(source: string, flags: PatternFlags) {
    this.#source = source;
    this.#flags = flags;
  }

  parse(): PatternNode {
    const node = this.#choice();
    if (this.#at < this.#source.length) this.#fail('a closing parenthesis without an opening one');
    return node;
  }

  #fail(problem: string, offset = this.#at): never {
    throw new PatternError(this.#source, problem, offset);
  }

  #peek(text: string): boolean {
    return this.#source.startsWith(text, this.#at);
  }

  #take(text: string): boolean {
    if (!this.#peek(text)) return false;
    this.#at += text.length;
    return true;
  }

  #choice(): PatternNode {
    // Recursion follows parentheses only, so its depth is what a pattern nests.
    this.#depth += 1;
    if (this.#depth > patternLimits.nestingMax) {
      this.#fail(`more than ${patternLimits.nestingMax} nested groups`);
    }
    const branches = [this.#sequence()];
    while (this.#take('|')) branches.push(this.#sequence());
    this.#depth -= 1;
    return branches.length === 1 ? branches[0]! : { type: 'choice', branches };
  }

  #sequence(): PatternNode {
    const items: PatternNode[] = [];
    while (this.#at < this.#source.length && !this.#peek('|') && !this.#peek(')')) items.push(this.#term());
    return items.length === 1 ? items[0]! : { type: 'sequence', items };
  }

  #term(): PatternNode {
    const start = this.#at;
    const atom = this.#atom();
    const bounds = this.#quantifier();
    if (!bounds) return atom;
    if (atom.type === 'assert' || atom.type === 'look') this.#fail('nothing to repeat', start);
    if (this.#quantifier()) this.#fail('a quantifier on a quantifier', start);
    return { type: 'repeat', body: atom, ...bounds };
  }

  #quantifier(): { min: number; max: number; lazy: boolean } | undefined {
    const start = this.#at;
    let bounds: { min: number; max: number };
    if (this.#take('*')) bounds = { min: 0, max: Number.POSITIVE_INFINITY };
    else if (this.#take('+')) bounds = { min: 1, max: Number.POSITIVE_INFINITY };
    else if (this.#take('?')) bounds = { min: 0, max: 1 };
    else {
      const braces = /^\{(\d{1,9})(,(\d{1,9})?)?\}/.exec(this.#source.slice(this.#at, this.#at + 24));
      // A brace that counts nothing is a character. ECMA-262 Annex B.1.2.
      if (!braces) return undefined;
      this.#at += braces[0].length;
      const min = Number(braces[1]);
      const max = braces[2] === undefined ? min : Number(braces[3] ?? Number.POSITIVE_INFINITY);
      bounds = { min, max };
    }
    this.#checkBounds(bounds, start);
    return { ...bounds, lazy: this.#take('?') };
  }

  #checkBounds({ min, max }: { min: number; max: number }, offset: number) {
    if (max < min) this.#fail('numbers out of order in a quantifier', offset);
    const largest = Number.isFinite(max) ? max : min;
    if (largest > patternLimits.repeatMax) {
      this.#fail(`a repeat of more than ${patternLimits.repeatMax}`, offset);
    }
  }

  #atom(): PatternNode {
    const start = this.#at;
    if (this.#take('^')) return { type: 'assert', at: 'start' };
    if (this.#take('$')) return { type: 'assert', at: 'end' };
    if (this.#take('.')) {
      return this.#flags.dotAll ? setOf(everyChar) : { ...setOf(lineTerminators), negated: true };
    }
    if (this.#take('(')) return this.#group(start);
    if (this.#take('[')) return this.#class(start);
    if (this.#take('\\')) return this.#escape(start);
    if (this.#quantifier()) this.#fail('nothing to repeat', start);
    return setOf(single(this.#codePoint()));
  }

  #codePoint(): number {
    const codePoint = this.#source.codePointAt(this.#at);
    if (codePoint === undefined) this.#fail('the pattern ends too early');
    this.#at += codePoint > 0xffff ? 2 : 1;
    return codePoint;
  }

  #group(start: number): PatternNode {
    const node = this.#openGroup(start);
    const body = this.#choice();
    if (!this.#take(')')) this.#fail('a group that is never closed', start);
    return { ...node, body };
  }

  #openGroup(start: number): Extract<PatternNode, { type: 'group' | 'look' }> {
    const body: PatternNode = { type: 'sequence', items: [] };
    if (!this.#take('?')) return { type: 'group', capture: true, body };
    if (this.#take(':')) return { type: 'group', capture: false, body };
    for (const behind of [false, true]) {
      if (this.#take(behind ? '<=' : '=')) return { type: 'look', behind, negated: false, body };
      if (this.#take(behind ? '<!' : '!')) return { type: 'look', behind, negated: true, body };
    }
    const name = /^<([A-Za-z_][A-Za-z0-9_]{0,63})>/.exec(this.#source.slice(this.#at, this.#at + 66));
    if (!name) {
      this.#fail('an unknown kind of group (flags such as i belong beside the pattern, not in it)', start);
    }
    this.#at += name[0].length;
    if (this.#names.has(name[1]!)) this.#fail(`two groups named ${name[1]}`, start);
    this.#names.add(name[1]!);
    return { type: 'group', capture: true, name: name[1]!, body };
  }

  #escape(start: number): PatternNode {
    if (this.#take('b')) return { type: 'assert', at: 'boundary' };
    if (this.#take('B')) return { type: 'assert', at: 'notBoundary' };
    if (/[1-9]/.test(this.#source[this.#at] ?? '') || this.#peek('k<')) {
      this.#fail('a backreference, which no engine matches in linear time', start);
    }
    return this.#classEscape(start);
  }

  /** What follows a backslash inside and outside brackets alike. */
  #classEscape(start: number): SetNode {
    const letter = this.#source[this.#at];
    if (letter === undefined) this.#fail('a backslash at the end', start);
    const shorthand = this.#shorthand(letter);
    if (shorthand) {
      this.#at += 1;
      return setOf(shorthand);
    }
    if (letter === 'p' || letter === 'P') return this.#property(start);
    return setOf(single(this.#characterEscape(letter, start)));
  }

  #shorthand(letter: string): CharSet | undefined {
    const word = this.#flags.ignoreCase ? union(wordChars, foldsIntoAscii) : wordChars;
    const sets: Readonly<Record<string, CharSet>> = { d: digits, s: spaces, w: word };
    const set = sets[letter.toLowerCase()];
    if (!set) return undefined;
    return letter === letter.toLowerCase() ? set : complement(set);
  }

  #property(start: number): SetNode {
    const written = /^([pP])\{([A-Za-z0-9_]+(?:=[A-Za-z0-9_]+)?)\}/.exec(
      this.#source.slice(this.#at, this.#at + 80),
    );
    if (!written) this.#fail('a \\p that is not followed by {Name}', start);
    this.#at += written[0].length;
    return {
      type: 'set',
      ranges: [],
      negated: false,
      properties: [{ name: written[2]!, negated: written[1] === 'P' }],
    };
  }

  #characterEscape(letter: string, start: number): number {
    const rest = this.#source.slice(this.#at, this.#at + 10);
    const control = controlEscapes[letter];
    if (control !== undefined && !/^0\d/.test(rest)) {
      this.#at += 1;
      return control;
    }
    const hex = /^(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\})/.exec(rest);
    if (hex) {
      this.#at += hex[0].length;
      const codePoint = Number.parseInt((hex[1] ?? hex[2] ?? hex[3])!, 16);
      if (codePoint > 0x10ffff) this.#fail('a code point above 10FFFF', start);
      return codePoint;
    }
    const controlLetter = /^c([A-Za-z])/.exec(rest);
    if (controlLetter) {
      this.#at += 2;
      return controlLetter[1]!.charCodeAt(0) % 32;
    }
    if (/[A-Za-z0-9]/.test(letter)) this.#fail(`an escape \\${letter} that means nothing`, start);
    return this.#codePoint();
  }

  #class(start: number): PatternNode {
    const negated = this.#take('^');
    const ranges: CharSet[] = [];
    const properties: { name: string; negated: boolean }[] = [];
    while (!this.#take(']')) {
      if (this.#at >= this.#source.length) this.#fail('a class that is never closed', start);
      if (this.#peek('[:')) this.#fail('a POSIX class, which this dialect lacks: use \\d, \\s, \\p{L} ...');
      const first = this.#classAtom();
      if (this.#peek('-') && !this.#peek('-]')) ranges.push(this.#classRange(first));
      else ranges.push(first.ranges);
      properties.push(...first.properties);
    }
    return { type: 'set', ranges: union(...ranges), negated, properties };
  }

  #classRange(first: SetNode): CharSet {
    const start = this.#at;
    this.#take('-');
    const last = this.#classAtom();
    const low = onlyMember(first);
    const high = onlyMember(last);
    if (low === undefined || high === undefined)
      this.#fail('a range that does not run between characters', start);
    if (high < low) this.#fail('a range out of order', start);
    return [[low, high]];
  }

  #classAtom(): SetNode {
    const start = this.#at;
    if (!this.#take('\\')) return setOf(single(this.#codePoint()));
    // Inside brackets \b is the backspace. ECMA-262 section 22.2.1 ClassEscape.
    if (this.#take('b')) return setOf(single(8));
    return this.#classEscape(start);
  }
}

function setOf(ranges: CharSet): SetNode {
  return { type: 'set', ranges, negated: false, properties: [] };
}

function single(codePoint: number): CharSet {
  return [[codePoint, codePoint]];
}

function onlyMember(node: SetNode): number | undefined {
  const range = node.ranges[0];
  return node.ranges.length === 1 && range && range[0] === range[1] && node.properties.length === 0
    ? range[0]
    : undefined;
}
