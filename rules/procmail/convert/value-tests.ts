/** Tests of one value (a field's, an address, a variable's, the body) by an expression: in words where it is plain, else `:regex`. */
import { compilePosix, PosixPatternError } from '../../sieve/posix-pattern.ts';
import type { Expression } from '../expression.ts';
import { CannotConvert } from './cannot-convert.ts';
import {
  anything,
  empty,
  fixedLength,
  isAnything,
  itemsOf,
  literalText,
  regexText,
  sequence,
  type Text,
} from './regex-text.ts';
import { anyOf, quotedList, quotedPattern, type Test, utf8 } from './sieve-text.ts';

export interface Value {
  /** What asks for it: `header`, and what comes between the match type and the keys. */
  readonly command: string;
  readonly source: string;
  readonly requires: readonly string[];
  readonly kind: Text;
  readonly caseSensitive: boolean;
}

/** The expression is looked for anywhere in the value; `\/` in it becomes a group. @throws CannotConvert */
export function valueTest(expression: Expression, value: Value): Test {
  const marked = itemsOf(expression).findIndex(({ kind }) => kind === 'mark');
  if (marked >= 0) {
    const items = itemsOf(expression);
    return captureTest(sequence(items.slice(0, marked)), sequence(items.slice(marked + 1)), value);
  }
  const ways = waysOf(expression, value.kind);
  const matches = ways.map((way) => matchOf(way, value.kind));
  const types = [...new Set(matches.map(({ type }) => type))];
  return anyOf(
    types.map((type) => {
      const keys = matches.filter((match) => match.type === type).map(({ key }) => key);
      return type === 'anything' ? { kind: 'constant', holds: true } : asked(type, keys, value);
    }),
  );
}

/** What may stand for the whole: `.*(a|b)` is a key for each. */
function waysOf(expression: Expression, kind: Text): readonly Expression[] {
  if (expression.kind === 'alternatives') return expression.items.flatMap((item) => waysOf(item, kind));
  const { inner, begins, ends } = trimmed(expression, kind);
  const isOpen = inner.kind === 'alternatives' && !begins && !ends;
  return isOpen ? inner.items.flatMap((item) => waysOf(sequence([anything, item]), kind)) : [expression];
}

type MatchType = ':contains' | ':is' | ':matches' | ':regex' | 'anything';

function matchOf(expression: Expression, kind: Text): { readonly type: MatchType; readonly key: string } {
  const { inner, begins, ends } = trimmed(expression, kind);
  const text = literalText(inner);
  const isWhole = kind === 'line' || !(begins || ends);
  if (text !== undefined && isWhole) {
    if (text === '' && !begins && !ends) return { type: 'anything', key: '' };
    if (!begins && !ends) return { type: ':contains', key: text };
    if (begins && ends) return { type: ':is', key: text };
    const wild = text.replace(/[*?\\]/g, '\\$&');
    return { type: ':matches', key: begins ? `${wild}*` : `*${wild}` };
  }
  const edge: Expression = { kind: 'line-end' };
  const whole = sequence([...(begins ? [edge] : []), inner, ...(ends ? [edge] : [])]);
  return { type: ':regex', key: regexText(whole, kind).text };
}

interface Trimmed {
  readonly inner: Expression;
  /** It has to begin where the value, or a line, begins. */
  readonly begins: boolean;
  readonly ends: boolean;
}

/** Without the `.*` at either end, which say nothing, and without the ends of the line. */
function trimmed(expression: Expression, kind: Text): Trimmed {
  let items = [...itemsOf(expression)];
  const begins = isEdge(items[0], 'begin', kind);
  if (begins) items = items.slice(1);
  const ends = isEdge(items.at(-1), 'end', kind);
  if (ends) items = items.slice(0, -1);
  const opens = isAnything(items[0]);
  while (isAnything(items[0])) items = items.slice(1);
  const closes = isAnything(items.at(-1));
  while (isAnything(items.at(-1))) items = items.slice(0, -1);
  return {
    inner: items.length === 0 ? empty : sequence(items),
    begins: begins && !opens,
    ends: ends && !closes,
  };
}

function isEdge(item: Expression | undefined, at: 'begin' | 'end', kind: Text): boolean {
  return item?.kind === 'line-end' || (kind === 'line' && item?.kind === 'anchor' && item.at === at);
}

/**
 * procmail takes the match whose part before `\/` is shortest, a POSIX expression the longest: the two agree where that
 * part, behind a leading `.*`, has one length.
 */
function captureTest(before: Expression, behind: Expression, value: Value): Test {
  if (value.kind !== 'line') throw new CannotConvert('MATCH is filled from the body');
  const items = itemsOf(before);
  const begins = isEdge(items[0], 'begin', 'line');
  let rest = begins ? items.slice(1) : items;
  const opens = isAnything(rest[0]);
  if (opens) rest = rest.slice(1);
  const left = sequence(rest);
  if (fixedLength(left) === undefined)
    throw new CannotConvert('what stands before \\/ is of no fixed length');
  const edge: readonly Expression[] = begins && !opens ? [{ kind: 'line-end' }] : [];
  const prefix = regexText(sequence([...edge, left]), 'line');
  const found = regexText(behind, 'line');
  const key = `${prefix.text}(${found.text})`;
  const test = asked(':regex', [key], value);
  return {
    ...test,
    requires: [...test.requires, 'variables'],
    captures: prefix.groups + 1,
  };
}

function asked(
  type: Exclude<MatchType, 'anything'>,
  keys: readonly string[],
  { command, source, requires, caseSensitive }: Value,
): Extract<Test, { kind: 'asked' }> {
  for (const key of keys) {
    if (key.includes(type === ':regex' ? '=\\?' : '=?'))
      throw new CannotConvert('it looks for an encoded word (RFC 2047); Sieve sees the text decoded');
    if (type === ':regex') assertUsable(utf8(key), caseSensitive);
  }
  const comparator = caseSensitive ? ' :comparator "i;octet"' : '';
  const list = type === ':regex' ? patternList(keys) : quotedList(keys);
  const own = [...requires, ...(type === ':regex' ? ['regex'] : [])];
  if (list.includes('${hex:')) own.push('encoded-character');
  return { kind: 'asked', text: `${command} ${type}${comparator}${source} ${list}`, requires: own };
}

function patternList(keys: readonly string[]): string {
  return keys.length === 1 ? quotedPattern(keys[0]!) : `[${keys.map(quotedPattern).join(', ')}]`;
}

function assertUsable(pattern: string, caseSensitive: boolean): void {
  try {
    compilePosix(pattern, !caseSensitive);
  } catch (error) {
    if (error instanceof PosixPatternError)
      throw new CannotConvert(`its expression cannot be one of Sieve's: ${error.message}`);
    throw error;
  }
}
