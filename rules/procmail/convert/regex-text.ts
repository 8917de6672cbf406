/** procmail's expressions as POSIX extended ones, which `:regex` has. draft-ietf-sieve-regex; IEEE 1003.1 section 9.4. */
import type { Expression, OctetSet } from '../expression.ts';
import { CannotConvert } from './cannot-convert.ts';

/** How lines stand in the text: one line alone, or lines with CRLF between them. */
export type Text = 'line' | 'lines';

export const empty: Expression = { kind: 'sequence', items: [] };
const newline = 10;
const carriageReturn = 13;

export function sequence(items: readonly Expression[]): Expression {
  const flat = items.flatMap(itemsOf);
  return flat.length === 1 ? flat[0]! : { kind: 'sequence', items: flat };
}

/** One after the other, sequences within sequences opened. */
export function itemsOf(expression: Expression): readonly Expression[] {
  return expression.kind === 'sequence' ? expression.items.flatMap(itemsOf) : [expression];
}

/** It matches nothing at all as well. */
export function isNullable(expression: Expression): boolean {
  switch (expression.kind) {
    case 'octet':
    case 'line-end':
    case 'anchor':
      return false;
    case 'mark':
      return true;
    case 'sequence':
      return expression.items.every(isNullable);
    case 'alternatives':
      return expression.items.some(isNullable);
    case 'repeat':
      return expression.sign !== '+' || isNullable(expression.item);
  }
}

/** What is left of an expression when its first octet has been seen: Brzozowski's derivative. Undefined where it cannot begin with it. */
export function after(expression: Expression, octet: number): Expression | undefined {
  switch (expression.kind) {
    case 'octet':
      return expression.set[octet] === 1 ? empty : undefined;
    case 'line-end':
    case 'anchor':
    case 'mark':
      return undefined;
    case 'alternatives':
      return either(expression.items.map((item) => after(item, octet)));
    case 'repeat': {
      const rest = after(expression.item, octet);
      if (rest === undefined || expression.sign === '?') return rest;
      return sequence([rest, { ...expression, sign: '*' }]);
    }
    case 'sequence': {
      const ways: (Expression | undefined)[] = [];
      for (const [at, item] of expression.items.entries()) {
        const rest = after(item, octet);
        ways.push(rest && sequence([rest, ...expression.items.slice(at + 1)]));
        if (!isNullable(item)) break;
      }
      return either(ways);
    }
  }
}

function either(ways: readonly (Expression | undefined)[]): Expression | undefined {
  const open = ways.filter((way) => way !== undefined);
  const texts = open.map((way) => JSON.stringify(way));
  const items = open.filter((_, at) => texts.indexOf(texts[at]!) === at);
  if (items.length <= 1) return items[0];
  return { kind: 'alternatives', items };
}

/** `.*` */
export const anything: Expression = {
  kind: 'repeat',
  sign: '*',
  item: { kind: 'octet', set: new Uint8Array(256).fill(1).fill(0, newline, newline + 1) },
};

export function isAnything(expression: Expression | undefined): boolean {
  return expression?.kind === 'repeat' && expression.sign === '*' && isAnyOctet(expression.item);
}

function isAnyOctet(expression: Expression): boolean {
  return expression.kind === 'octet' && expression.set.every((has, octet) => has === 1 || octet === newline);
}

/** Octets that it matches, where that is always as many; undefined else. */
export function fixedLength(expression: Expression): number | undefined {
  if (expression.kind === 'octet') return 1;
  if (expression.kind !== 'sequence' && expression.kind !== 'alternatives') return undefined;
  const lengths = expression.items.map(fixedLength);
  if (expression.kind === 'alternatives')
    return lengths.every((length) => length === lengths[0]) ? lengths[0] : undefined;
  return lengths.reduce(
    (sum, length) => (sum === undefined || length === undefined ? undefined : sum + length),
    0,
  );
}

/** The text that it matches, where that is one; an octet a character. */
export function literalText(expression: Expression): string | undefined {
  let text = '';
  for (const item of itemsOf(expression)) {
    if (item.kind !== 'octet' || item.literal === undefined) return undefined;
    text += String.fromCharCode(item.literal);
  }
  return text;
}

export interface RegexText {
  /** An octet a character. */
  readonly text: string;
  /** Groups within it. */
  readonly groups: number;
}

/** @throws CannotConvert where a POSIX expression cannot say it */
export function regexText(expression: Expression, kind: Text): RegexText {
  const writer = new Writer(kind);
  const text = writer.write(expression, true, true);
  return { text, groups: writer.groups };
}

class Writer {
  groups = 0;
  readonly #kind: Text;

  constructor(kind: Text) {
    this.#kind = kind;
  }

  /** @param first nothing stands before it  @param last nothing follows */
  write(expression: Expression, first: boolean, last: boolean): string {
    switch (expression.kind) {
      case 'octet':
        return this.#octet(expression, last);
      case 'line-end':
        return this.#lineEnd(first, last);
      case 'anchor':
        if (this.#kind === 'line' && !(expression.at === 'begin' ? first : last))
          throw new CannotConvert('an anchor stands in its middle');
        return expression.at === 'begin' ? '^' : '$';
      case 'mark':
        throw new CannotConvert('\\/ stands within a group');
      case 'sequence':
        return expression.items
          .map((item, at) =>
            this.#grouped(item, first && at === 0, last && at === expression.items.length - 1),
          )
          .join('');
      case 'alternatives':
        return this.#alternatives(expression.items, first, last);
      case 'repeat':
        return this.#repeat(expression);
    }
  }

  #grouped(item: Expression, first: boolean, last: boolean): string {
    if (item.kind !== 'alternatives') return this.write(item, first, last);
    this.groups += 1;
    const [present, optional] = withoutEmpty(item.items);
    return `(${this.#alternatives(present, first, last)})${optional ? '?' : ''}`;
  }

  #alternatives(items: readonly Expression[], first: boolean, last: boolean): string {
    const [present, optional] = withoutEmpty(items);
    const text = present.map((item) => this.write(item, first, last)).join('|');
    if (!optional) return text;
    this.groups += 1;
    return `(${text})?`;
  }

  #repeat({ item, sign }: Extract<Expression, { kind: 'repeat' }>): string {
    if (item.kind === 'octet') {
      if ((item.literal ?? 0) > 127) throw new CannotConvert('an octet above 127 is repeated');
      return this.#class(item.set, item.literal) + sign;
    }
    this.groups += 1;
    return `(${this.write(item, false, false)})${sign}`;
  }

  #octet({ set, literal }: Extract<Expression, { kind: 'octet' }>, last: boolean): string {
    const text = this.#class(set, literal);
    // `\<` and `\>` take a newline as well.
    if (set[newline] !== 1 || literal !== undefined) return text;
    if (this.#kind === 'lines') return text;
    if (!last) return text;
    this.groups += 1;
    return `(${text}|$)`;
  }

  #lineEnd(first: boolean, last: boolean): string {
    if (this.#kind === 'lines') {
      this.groups += 1;
      return '(^|\r?\n|$)';
    }
    if (first) return '^';
    if (last) return '$';
    throw new CannotConvert('it reaches over the end of a line');
  }

  #class(set: OctetSet, literal: number | undefined): string {
    if (literal !== undefined) return escapedCharacter(literal);
    const wanted = set.slice();
    // The octets of a line end: what stands for anything but a newline stands for neither of them.
    const within = this.#kind === 'lines' && wanted[newline] !== 1;
    if (within) wanted[carriageReturn] = 0;
    const high = wanted.subarray(128);
    const positive = high.every((has) => has === 0);
    if (!positive && !high.every((has) => has === 1))
      throw new CannotConvert('a set holds some octets above 127');
    if (positive) return bracket(wanted, false);
    const others = wanted.map((has) => 1 - has);
    if (this.#kind === 'line') others[newline] = 0;
    return others.every((has) => has === 0) ? '.' : bracket(others, true);
  }
}

function withoutEmpty(items: readonly Expression[]): [readonly Expression[], boolean] {
  const present = items.filter((item) => itemsOf(item).length > 0);
  return [present, present.length < items.length];
}

function escapedCharacter(octet: number): string {
  const character = String.fromCharCode(octet);
  return /[\\^$.*+?()[\]{}|]/.test(character) ? `\\${character}` : character;
}

/** A bracket expression: `]` first, `-` last, `^` behind others. IEEE 1003.1 section 9.3.5. */
function bracket(set: OctetSet, isNegated: boolean): string {
  const octets = [...set.keys()].filter((octet) => set[octet] === 1);
  if (octets.length === 0) throw new CannotConvert('a set is empty');
  if (!isNegated && octets.length === 1) return escapedCharacter(octets[0]!);
  if (octets.some((octet) => octet < 32 && octet !== 9 && octet !== newline && octet !== carriageReturn))
    throw new CannotConvert('a set holds control characters');
  const [closing, dash, caret] = [']', '-', '^'].map((mark) => set[mark.charCodeAt(0)] === 1);
  const plain = octets.filter((octet) => !']-^'.includes(String.fromCharCode(octet)));
  if (caret && !isNegated && !closing && plain.length === 0)
    throw new CannotConvert('a set of ^ and - alone');
  // A "[" before one of .=: would begin a class.
  const opening = plain.includes(0x5b) ? '[' : '';
  const rest = rangesOf(plain.filter((octet) => octet !== 0x5b));
  return `[${isNegated ? '^' : ''}${closing ? ']' : ''}${rest}${opening}${caret ? '^' : ''}${dash ? '-' : ''}]`;
}

function rangesOf(octets: readonly number[]): string {
  let text = '';
  for (let at = 0; at < octets.length; ) {
    let end = at;
    // Letters and digits alone make ranges that people read.
    while (octets[end + 1] === octets[end]! + 1 && isAlike(octets[end]!, octets[end + 1]!)) end += 1;
    const [low, high] = [String.fromCharCode(octets[at]!), String.fromCharCode(octets[end]!)];
    text += end - at >= 2 ? `${low}-${high}` : String.fromCharCode(...octets.slice(at, end + 1));
    at = end + 1;
  }
  return text;
}

function isAlike(one: number, other: number): boolean {
  const [left, right] = [one, other].map((octet) => String.fromCharCode(octet));
  return [/\d/, /[a-z]/, /[A-Z]/].some((kind) => kind.test(left!) && kind.test(right!));
}
