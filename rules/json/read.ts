/** Reads the parts of a rule from JSON: one error for each thing that is not as it must be, with its place. */
import { RuleError } from './rule-error.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** An object of known keys; keys without a value and empty lists count as left out. */
export function readObject(value: unknown, known: readonly string[], where: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RuleError(where, 'expected an object');
  }
  const present = Object.entries(value).filter(
    ([, item]) => item !== undefined && !(Array.isArray(item) && item.length === 0),
  );
  for (const [key] of present) {
    if (!known.includes(key))
      throw new RuleError(where, `unknown key "${key}"; known are ${known.join(', ')}`);
  }
  return Object.fromEntries(present);
}

/** The one key of a choice that the object has. */
export function readChoice<Key extends string>(object: JsonObject, keys: readonly Key[], where: string): Key {
  const present = keys.filter((key) => Object.hasOwn(object, key));
  if (present.length === 1) return present[0]!;
  const found = present.length === 0 ? 'none is there' : `there are ${present.join(' and ')}`;
  throw new RuleError(where, `expected one of ${keys.join(', ')}; ${found}`);
}

export function readList(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new RuleError(where, 'expected a list');
  return value;
}

export function readString(value: unknown, where: string): string {
  if (typeof value !== 'string' || value === '')
    throw new RuleError(where, 'expected a text that is not empty');
  return value;
}

/** A text, or a list of texts. */
export function readStrings(value: unknown, where: string): readonly string[] {
  return (Array.isArray(value) ? value : [value]).map((item) => readString(item, where));
}

export function readBoolean(value: unknown, where: string): boolean {
  if (typeof value !== 'boolean') throw new RuleError(where, 'expected true or false');
  return value;
}

export function readNumber(value: unknown, where: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new RuleError(where, 'expected a number');
  return value;
}

export function readWord<Word extends string>(value: unknown, words: readonly Word[], where: string): Word {
  const word = words.find((each) => each === value);
  if (word === undefined) {
    throw new RuleError(where, `${JSON.stringify(value)} is none of ${words.join(', ')}`);
  }
  return word;
}

/** RFC 5322 section 3.6.8: printable US-ASCII but for the colon. */
export function readHeaderName(value: unknown, where: string): string {
  const name = readString(value, where);
  if (!/^[!-9;-~]{1,200}$/.test(name))
    throw new RuleError(where, `${JSON.stringify(name)} is no header field name`);
  return name;
}
