/**
 * Expressions on the header as tests of fields. procmail looks at the header as one text, Sieve asks for fields by name: what
 * begins with `^` and the names of fields can be said in both. A value is taken to stand behind one space.
 */
import { compileSearch } from '../conditions.ts';
import { type Expression, parseExpression } from '../expression.ts';
import { expandMacros } from '../macros.ts';
import { CannotConvert } from './cannot-convert.ts';
import { after, isAnything, isNullable, itemsOf, sequence } from './regex-text.ts';
import { anyOf, quotedList, type Test } from './sieve-text.ts';
import { type Value, valueTest } from './value-tests.ts';

export interface FieldTests {
  readonly test: Test;
  readonly notes: readonly string[];
}

/** Names one expression may stand for. */
const waysMax = 200;
const space = 32;
const newline = 10;
/** Names with which no other field in use begins, so that `^From.*x` means that field. */
const wholeNames = ['From', 'To', 'Cc', 'Subject', 'Sender', 'Reply-To'];
const bounceLine = Buffer.from('From MAILER-DAEMON  Sat Nov 21 09:00:00 2026\n\n');

/** @param text the expression, an octet a character  @throws CannotConvert */
export function fieldTests(text: string, caseSensitive: boolean): FieldTests {
  const { root, problem } = parseExpression(expandMacros(text, ''), { caseSensitive });
  if (problem !== undefined) throw new CannotConvert(`its expression has ${problem}`);
  const tests = new FieldTestsOf(text, caseSensitive);
  return tests.of(root);
}

class FieldTestsOf {
  readonly #text: string;
  readonly #caseSensitive: boolean;
  readonly #notes = new Set<string>();

  constructor(text: string, caseSensitive: boolean) {
    this.#text = text;
    this.#caseSensitive = caseSensitive;
  }

  of(root: Expression): FieldTests {
    const byRest = new Map<string, { names: string[]; rest: Expression }>();
    const senders: Expression[] = [];
    for (const { name, rest, of } of this.#ways(root)) {
      if (of === 'from-line') {
        senders.push(rest);
        continue;
      }
      const key = JSON.stringify(rest);
      const known = byRest.get(key) ?? { names: [], rest };
      if (!known.names.includes(name)) known.names.push(name);
      byRest.set(key, known);
    }
    const tests = [...byRest.values()].map(({ names, rest }) => this.#fieldTest(names, rest));
    return { test: anyOf([...tests, ...this.#senderTests(senders)]), notes: [...this.#notes] };
  }

  /** Each name of a field that the expression begins with, and what it asks of that field's value. */
  *#ways(root: Expression): Generator<Way> {
    const open: { prefix: string; items: readonly Expression[] }[] = [];
    for (const way of root.kind === 'alternatives' ? root.items : [root])
      open.push({ prefix: '', items: itemsOf(way) });
    for (let steps = 0; open.length > 0; steps++) {
      if (steps > waysMax * 40) throw new CannotConvert('it names too many fields');
      const { prefix, items } = open.shift()!;
      const [item, ...rest] = items;
      if (item?.kind === 'alternatives' && prefix === '') {
        // `(^A:|^B:)`
        open.unshift(...item.items.map((each) => ({ prefix, items: [...itemsOf(each), ...rest] })));
      } else if (prefix === '') {
        if (item?.kind !== 'line-end')
          throw new CannotConvert('it looks at the whole header; Sieve asks for fields by name');
        open.unshift({ prefix: '^', items: rest });
      } else {
        const next = step(prefix, item, rest);
        if ('rest' in next) yield* this.#way(next);
        else open.unshift(...next.open);
      }
    }
  }

  *#way(way: Way): Generator<Way> {
    // A quoted From_ line in the header is no field.
    if (way.of === 'from-line' && way.name === '>From') return;
    if (way.of === 'begins') {
      this.#notes.add(`fields whose names only begin with ${way.name} are not looked at`);
      yield { ...way, of: 'field' };
      if (way.name.toLowerCase() === 'from') yield { name: 'From', rest: way.rest, of: 'from-line' };
      return;
    }
    yield way;
  }

  #fieldTest(names: readonly string[], rest: Expression): Test {
    const present: Test = { kind: 'asked', text: `exists ${quotedList(names)}`, requires: [] };
    const marks = itemsOf(rest).some(({ kind }) => kind === 'mark');
    if (isNullable(rest) && !marks) return present;
    if (marks && names.length > 1) throw new CannotConvert('MATCH may come from several fields');
    if (crossesLines(rest, true))
      this.#notes.add(
        '\\< and \\> are the end of a line as well: procmail may find the name of the next field',
      );
    const value = behindSpace(rest);
    if (value === undefined)
      throw new CannotConvert('it looks for a value without white space before it, which Sieve does not see');
    const test = valueTest(anchored(withoutBlanks(value)), {
      ...{ command: 'header', source: ` ${quotedList(names)}`, requires: [], kind: 'line' },
      caseSensitive: this.#caseSensitive,
    });
    // A field whose value may be anything has to be there.
    return test.kind === 'constant' ? present : test;
  }

  /** The sender of the From_ line is the envelope's. */
  #senderTests(rests: readonly Expression[]): Test[] {
    if (rests.length === 0) return [];
    const envelope: Value = {
      ...{ command: 'envelope', source: ' "from"', requires: ['envelope'], kind: 'line' },
      caseSensitive: this.#caseSensitive,
    };
    const tests = rests.map((rest) => {
      if (itemsOf(rest).some(({ kind }) => kind === 'mark'))
        throw new CannotConvert('MATCH is filled from the From_ line');
      if (!this.#text.includes('^FROM_') && reachesDate(rest))
        throw new CannotConvert('it looks at the date in the From_ line');
      return isNullable(rest)
        ? ({ kind: 'constant', holds: true } as const)
        : valueTest(anchored(withoutBlanks(rest)), envelope);
    });
    // Bounces have no sender; their From_ line says MAILER-DAEMON.
    if (compileSearch(this.#text, this.#caseSensitive).find(bounceLine) >= 0)
      tests.push({ kind: 'asked', text: 'envelope :is "from" ""', requires: ['envelope'] });
    this.#notes.add('of the From_ line the sender alone is looked at, not the date');
    return tests;
  }
}

interface Way {
  readonly name: string;
  readonly rest: Expression;
  readonly of: 'field' | 'from-line' | 'begins';
}

type Next = Way | { readonly open: { prefix: string; items: readonly Expression[] }[] };

/** One item further in the name of a field. @param prefix with `^` before it */
function step(prefix: string, item: Expression | undefined, rest: readonly Expression[]): Next {
  const name = prefix.slice(1);
  if (item?.kind === 'octet') {
    const octets = lettersOf(item);
    if (octets === undefined) throw new CannotConvert('the names of the fields are not plain in it');
    if (octets[0] === ':') return { name: fieldName(name), rest: sequence(rest), of: 'field' };
    if (octets[0] === ' ' && /^>?From$/i.test(name)) return { name, rest: sequence(rest), of: 'from-line' };
    return { open: octets.map((octet) => ({ prefix: prefix + octet, items: rest })) };
  }
  if (item?.kind === 'alternatives' || item?.kind === 'sequence') {
    const ways = item.kind === 'sequence' ? [item] : item.items;
    return { open: ways.map((way) => ({ prefix, items: [...itemsOf(way), ...rest] })) };
  }
  if (item?.kind === 'repeat' && item.sign === '?') {
    return {
      open: [
        { prefix, items: [...itemsOf(item.item), ...rest] },
        { prefix, items: rest },
      ],
    };
  }
  if (isAnything(item) && wholeNames.some((each) => each.toLowerCase() === name.toLowerCase()))
    return { name, rest: sequence([item!, ...rest]), of: 'begins' };
  throw new CannotConvert('the names of the fields are not plain in it');
}

/** A `\<` or `\>` stands in it that more than the end follows. */
function crossesLines(expression: Expression, last: boolean): boolean {
  if (expression.kind === 'octet') return !last && expression.set[newline] === 1;
  if (expression.kind === 'repeat') return crossesLines(expression.item, false);
  if (expression.kind === 'alternatives') return expression.items.some((item) => crossesLines(item, last));
  const items = itemsOf(expression);
  if (expression.kind !== 'sequence') return false;
  return items.some((item, at) => crossesLines(item, last && at === items.length - 1));
}

/** What is left to match when the space before the value has been. @throws CannotConvert where that would be MATCH's */
function behindSpace(rest: Expression): Expression | undefined {
  const items = itemsOf(rest);
  const at = items.findIndex(({ kind }) => kind === 'mark');
  if (at < 0) return after(rest, space);
  const [before, behind] = [sequence(items.slice(0, at)), sequence(items.slice(at + 1))];
  if (isNullable(before) && after(behind, space) !== undefined)
    throw new CannotConvert(
      'MATCH would begin with the white space before the value, which Sieve does not see',
    );
  const value = after(before, space);
  return value && sequence([withoutBlanks(value), items[at]!, behind]);
}

function reachesDate(expression: Expression): boolean {
  if (expression.kind === 'octet') return expression.literal === space;
  if (expression.kind === 'repeat') return reachesDate(expression.item);
  if (expression.kind === 'line-end') return true;
  return 'items' in expression && expression.items.some(reachesDate);
}

/** Characters that may stand there, in one case; undefined where they are many. */
function lettersOf({ set, literal }: Extract<Expression, { kind: 'octet' }>): string[] | undefined {
  if (literal !== undefined) return [String.fromCharCode(literal)];
  const all = [...set.keys()].filter((octet) => set[octet] === 1).map((octet) => String.fromCharCode(octet));
  const letters = [...new Set(all.map((letter) => letter.toLowerCase()))];
  return letters.length > 4 || letters.some((letter) => ': \n'.includes(letter)) ? undefined : letters;
}

/** RFC 5322 section 3.6.8. */
function fieldName(name: string): string {
  if (!/^[!-9;-~]+$/.test(name)) throw new CannotConvert('it names no field');
  return name;
}

/** Sieve's values have no white space at their beginning. */
function withoutBlanks(expression: Expression): Expression {
  const [first, ...rest] = itemsOf(expression);
  if (first?.kind !== 'repeat' || first.sign === '+' || !isBlank(first.item)) return expression;
  return withoutBlanks(sequence(rest));
}

function isBlank(expression: Expression): boolean {
  return (
    expression.kind === 'octet' &&
    expression.set.every((has, octet) => has === 0 || octet === 32 || octet === 9)
  );
}

/** Each way has to begin where the value begins. */
function anchored(expression: Expression): Expression {
  if (expression.kind !== 'alternatives') return sequence([{ kind: 'line-end' }, expression]);
  return { kind: 'alternatives', items: expression.items.map(anchored) };
}
