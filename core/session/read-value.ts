/** Small readers of untrusted values: each answers the value with its type, or throws BadAnswer naming the place. */
import { BadAnswer } from './bad-answer.ts';

/** A plain object; with `keys`, none but these. */
export function readObject(
  value: unknown,
  where: string,
  keys?: readonly string[],
): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new BadAnswer(`${where} is ${kind(value)}, not an object`);
  }
  if (keys !== undefined) {
    for (const key in value) {
      if (!keys.includes(key))
        throw new BadAnswer(`${where} has the unknown key "${key}"; known: ${keys.join(', ')}`);
    }
  }
  return value as Readonly<Record<string, unknown>>;
}

export function readArray(value: unknown, where: string, lengthMax: number): readonly unknown[] {
  if (!Array.isArray(value)) throw new BadAnswer(`${where} is ${kind(value)}, not a list`);
  if (value.length > lengthMax)
    throw new BadAnswer(`${where} has ${value.length} items, more than ${lengthMax}`);
  // Array.from: a list with holes would skip them in map().
  return Array.from(value);
}

export function readText(value: unknown, where: string, lengthMax: number): string {
  if (typeof value !== 'string') throw new BadAnswer(`${where} is ${kind(value)}, not a string`);
  if (value.length > lengthMax) throw new BadAnswer(`${where} is longer than ${lengthMax} characters`);
  return value;
}

/** One line: no control characters. */
export function readLine(value: unknown, where: string, lengthMax: number): string {
  const text = readText(value, where, lengthMax);
  if (/[\0-\x1f\x7f]/.test(text)) throw new BadAnswer(`${where} holds control characters`);
  return text;
}

/** A whole number of at least `minimum`. */
export function readNumber(value: unknown, where: string, minimum: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < minimum) {
    throw new BadAnswer(`${where} is ${kind(value)}, not a whole number of at least ${minimum}`);
  }
  return value;
}

export function readScore(value: unknown, where: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw new BadAnswer(`${where} is ${kind(value)}, not a finite number`);
  }
  return value;
}

function kind(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'number') return String(value);
  return value === undefined ? 'missing' : `a value of type ${typeof value}`;
}
