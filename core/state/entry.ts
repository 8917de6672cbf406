/** What may be a key, a value and a time to live, the same for every engine. */
import type { Clock } from '../base/clock.ts';
import type { Json } from '../base/json.ts';
import { stateKeyBytesMax, stateKeysMax, stateListMax, stateValueBytesMax } from '../base/limits/state.ts';

/** The key as stored: well-formed Unicode, so that two engines agree on what is the same key. */
export function checkKey(key: string): string {
  if (typeof key !== 'string') throw new TypeError('a state key must be a string');
  const formed = key.toWellFormed();
  if (Buffer.byteLength(formed) > stateKeyBytesMax) {
    throw new TypeError(`a state key may have ${stateKeyBytesMax} octets at most`);
  }
  return formed;
}

/** The keys of one question, each once. */
export function checkKeys(keys: readonly string[]): string[] {
  if (!Array.isArray(keys) || keys.length > stateKeysMax) {
    throw new TypeError(`one question may name ${stateKeysMax} keys at most`);
  }
  return [...new Set(keys.map(checkKey))];
}

/** The value as JSON text. */
export function encodeValue(value: Json): string {
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError('a state value must be JSON');
  if (Buffer.byteLength(text) > stateValueBytesMax) {
    throw new TypeError(`a state value may have ${stateValueBytesMax} octets of JSON at most`);
  }
  return text;
}

/** Epoch milliseconds at which the key ends; null for never. */
export function expiryOf(clock: Clock, options: { ttlSeconds?: number } | undefined): number | null {
  const ttl = options?.ttlSeconds;
  if (ttl === undefined) return null;
  if (!Number.isFinite(ttl) || ttl <= 0) throw new TypeError('ttlSeconds must be a number above 0');
  return Math.ceil(clock.now() + ttl * 1000);
}

/** The counter after adding; `text` is what is stored now. */
export function addTo(text: string | undefined, by: number): number {
  if (!Number.isFinite(by)) throw new TypeError('a counter can only be raised by a number');
  const value: unknown = text === undefined ? 0 : JSON.parse(text);
  if (typeof value !== 'number') throw new TypeError('this key holds something other than a counter');
  return value + by;
}

export function checkLimit(limit: number | undefined): number {
  const wanted = limit ?? 1000;
  if (!Number.isInteger(wanted) || wanted < 0) throw new TypeError('limit must be a whole number');
  return Math.min(wanted, stateListMax);
}

/** The first string after all that begin with prefix, in order of code points; undefined when there is none. */
export function prefixEnd(prefix: string): string | undefined {
  const points = [...prefix];
  while (points.length > 0) {
    const last = (points.pop() as string).codePointAt(0) as number;
    if (last === 0x10ffff) continue;
    // Surrogates are no characters: U+D7FF is followed by U+E000.
    return points.join('') + String.fromCodePoint(last === 0xd7ff ? 0xe000 : last + 1);
  }
  return undefined;
}
