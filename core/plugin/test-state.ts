/** The state of a plugin's test: in memory, with the test's own time, and open to the test's eyes. */
import type { Clock } from '../base/clock.ts';
import type { Json } from '../base/json.ts';
import { stateKeysMax } from '../base/limits/state.ts';
import type { PluginState } from './hooks.ts';

interface Kept {
  value: Json;
  /** Epoch milliseconds. */
  until: number;
}

/** State that a test can look into. */
export class TestState implements PluginState {
  readonly #clock: Clock;
  readonly #kept = new Map<string, Kept>();

  constructor(initial: Readonly<Record<string, Json>>, clock: Clock) {
    this.#clock = clock;
    for (const [key, value] of Object.entries(initial))
      this.#kept.set(key, { value, until: Number.POSITIVE_INFINITY });
  }

  /** Everything that has not expired, by key. */
  get all(): Readonly<Record<string, Json>> {
    return Object.fromEntries(
      [...this.#kept.keys()].flatMap((key) => {
        const kept = this.#live(key);
        return kept === undefined ? [] : [[key, kept.value]];
      }),
    );
  }

  async get(key: string): Promise<Json | undefined> {
    return this.#live(key)?.value;
  }
  async set(key: string, value: Json, options?: { ttlSeconds?: number }): Promise<void> {
    this.#put(key, value, options);
  }
  async delete(key: string): Promise<void> {
    this.#kept.delete(key);
  }
  async increment(key: string, by = 1, options?: { ttlSeconds?: number }): Promise<number> {
    const before = this.#live(key);
    if (before === undefined) {
      this.#put(key, by, options);
      return by;
    }
    if (typeof before.value !== 'number') throw new TypeError(`the state under ${key} is no counter`);
    before.value += by;
    return before.value;
  }
  async setIfAbsent(key: string, value: Json, options?: { ttlSeconds?: number }): Promise<boolean> {
    if (this.#live(key) !== undefined) return false;
    this.#put(key, value, options);
    return true;
  }
  async list(prefix: string, limit = 1000): Promise<string[]> {
    return [...this.#kept.keys()]
      .filter((key) => key.startsWith(prefix) && this.#live(key) !== undefined)
      .sort()
      .slice(0, limit);
  }

  async getAll(keys: readonly string[]): Promise<Record<string, Json>> {
    checkKeys(keys);
    return Object.fromEntries(
      keys.flatMap((key) => {
        const kept = this.#live(key);
        return kept === undefined ? [] : [[key, kept.value]];
      }),
    );
  }
  async incrementAll(keys: readonly string[], by: number, options?: { ttlSeconds?: number }): Promise<void> {
    const values = checkKeys(keys).map((key) => this.#live(key)?.value ?? 0);
    const wrong = values.findIndex((value) => typeof value !== 'number');
    if (wrong !== -1) throw new TypeError(`the state under ${keys[wrong]} is no counter`);
    for (const [index, key] of keys.entries()) this.#put(key, (values[index] as number) + by, options);
  }

  #live(key: string): Kept | undefined {
    const kept = this.#kept.get(key);
    return kept !== undefined && kept.until > this.#clock.now() ? kept : undefined;
  }

  #put(key: string, value: Json, { ttlSeconds }: { ttlSeconds?: number } = {}): void {
    const until = ttlSeconds === undefined ? Number.POSITIVE_INFINITY : this.#clock.now() + ttlSeconds * 1000;
    this.#kept.set(key, { value: structuredClone(value), until });
  }
}

function checkKeys(keys: readonly string[]): readonly string[] {
  if (keys.length > stateKeysMax) throw new TypeError(`one question may name ${stateKeysMax} keys at most`);
  return keys;
}
