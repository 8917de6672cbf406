/** Tests, strings and lists as a Sieve script has them. RFC 5228 section 8. */
import { CannotConvert } from './cannot-convert.ts';

/** A test as it is put together from conditions. */
export type Test =
  | { readonly kind: 'constant'; readonly holds: boolean }
  | { readonly kind: 'not'; readonly test: Test }
  | { readonly kind: 'any' | 'all'; readonly tests: readonly Test[] }
  | {
      readonly kind: 'asked';
      readonly text: string;
      readonly requires: readonly string[];
      /** Number of the group that holds what MATCH is to be. */
      readonly captures?: number;
    };

export const always: Test = { kind: 'constant', holds: true };

export function negated(test: Test): Test {
  if (test.kind === 'constant') return { kind: 'constant', holds: !test.holds };
  return test.kind === 'not' ? test.test : { kind: 'not', test };
}

export function anyOf(tests: readonly Test[]): Test {
  return joined('any', tests);
}

export function allOf(tests: readonly Test[]): Test {
  return joined('all', tests);
}

function joined(kind: 'any' | 'all', tests: readonly Test[]): Test {
  const neutral = kind === 'all';
  const open = tests.flatMap((test) => (test.kind === kind ? test.tests : [test]));
  if (open.some((test) => test.kind === 'constant' && test.holds !== neutral))
    return { kind: 'constant', holds: !neutral };
  const rest = open.filter(({ kind: each }) => each !== 'constant');
  if (rest.length === 0) return { kind: 'constant', holds: neutral };
  return rest.length === 1 ? rest[0]! : { kind, tests: rest };
}

/** The one test that captures; undefined where none does. @throws CannotConvert where what it captures would not be left */
export function capturing(test: Test): Extract<Test, { kind: 'asked' }> | undefined {
  const found = capturesIn(test);
  if (found.length === 0) return undefined;
  if (found.length > 1) throw new CannotConvert('two conditions fill MATCH');
  const direct = test.kind === 'all' ? test.tests : [test];
  if (!direct.includes(found[0]!)) throw new CannotConvert('MATCH is filled by one of several conditions');
  return found[0];
}

function capturesIn(test: Test): Extract<Test, { kind: 'asked' }>[] {
  if (test.kind === 'asked') return test.captures === undefined ? [] : [test];
  if (test.kind === 'not') return capturesIn(test.test);
  return test.kind === 'constant' ? [] : test.tests.flatMap(capturesIn);
}

/** What captures comes last, so that no other match takes its place. */
export function capturingLast(test: Test): Test {
  const last = capturing(test);
  if (test.kind !== 'all' || last === undefined) return test;
  return { kind: 'all', tests: [...test.tests.filter((each) => each !== last), last] };
}

/** @param indent of the line that it begins in; what follows is put below one another where it is long */
export function testText(test: Test, indent: string): string {
  switch (test.kind) {
    case 'constant':
      return String(test.holds);
    case 'not':
      return `not ${testText(test.test, indent)}`;
    case 'asked':
      return test.text;
    case 'any':
    case 'all': {
      const deeper = `${indent}  `;
      const parts = test.tests.map((each) => testText(each, deeper));
      return `${test.kind}of(\n${parts.map((part) => deeper + part).join(',\n')}\n${indent})`;
    }
  }
}

/** Extensions that it takes. */
export function requiredBy(test: Test): readonly string[] {
  if (test.kind === 'asked') return test.requires;
  if (test.kind === 'not') return requiredBy(test.test);
  return test.kind === 'constant' ? [] : test.tests.flatMap(requiredBy);
}

/** Marks around the name of a Sieve variable within text that is an octet a character: no octet is that high. */
const open = '\uE000';
const close = '\uE001';

export function placeholder(name: string): string {
  return open + name + close;
}

export function hasPlaceholder(text: string): boolean {
  return text.includes(open);
}

/** A quoted string of text that is an octet a character, with placeholders as `${name}`. @throws CannotConvert */
export function quotedText(text: string): string {
  const parts = text.split(/\uE000([^\uE001]*)\uE001/);
  return `"${parts.map((part, at) => (at % 2 === 1 ? `\${${part}}` : escaped(utf8(part)))).join('')}"`;
}

export function quotedList(texts: readonly string[]): string {
  return texts.length === 1 ? quotedText(texts[0]!) : `[${texts.map(quotedText).join(', ')}]`;
}

/** A quoted string of ASCII or Unicode in which the octets of line ends stand as `${hex:...}`. */
export function quotedPattern(pattern: string): string {
  const text = utf8(pattern);
  if (!/[\r\n]/.test(text)) return `"${escaped(text)}"`;
  const parts = text.split(/([\r\n])/).map((part) => (/[\r\n]/.test(part) ? hexOf(part) : escaped(part)));
  return `"${parts.join('')}"`;
}

/** RFC 5228 section 2.4.2.4. */
function hexOf(character: string): string {
  return `\${hex:${character.charCodeAt(0).toString(16).padStart(2, '0')}}`;
}

function escaped(text: string): string {
  // Nothing of the rcfile's text is to be taken for a variable. RFC 5229 section 3.
  if (text.includes('${')) throw new CannotConvert('"${" in a string would be a variable of Sieve');
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(text)) throw new CannotConvert('there are control characters in it');
  return text.replace(/["\\]/g, '\\$&');
}

/** @throws CannotConvert where the octets are no UTF-8, which is all that a script may hold */
export function utf8(text: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(text, 'latin1'));
  } catch {
    throw new CannotConvert('there is text in it that is not UTF-8');
  }
}
