/** State that ends with the process: for tests, and for installations that keep nothing. */
import type { Clock } from '../base/clock.ts';
import { OperationalError } from '../base/errors.ts';
import { stateMemoryEntriesMax, stateSweepRows } from '../base/limits/state.ts';
import { addTo, checkKey, checkKeys, checkLimit, encodeValue, expiryOf } from './entry.ts';
import type { StateInit, StateKeys, StateStore } from './store.ts';
import { startSweeper } from './sweeper.ts';

interface Entry {
  /** JSON text, so that no caller shares an object with another. */
  readonly text: string;
  readonly expires: number | null;
}

export function openMemoryState(init: Pick<StateInit, 'clock' | 'log'>): StateStore {
  const memory = new Memory(init.clock);
  const sweep = async () => memory.sweep();
  const sweeper = startSweeper(sweep, init.log);
  return {
    forPlugin: (name) => pluginState(memory, name, init.clock),
    sweep,
    async close() {
      sweeper.stop();
    },
  };
}

/** Entries of all plugins, bounded in number; the sweep walks on from where it stopped. */
class Memory {
  readonly #clock: Clock;
  readonly #plugins = new Map<string, Map<string, Entry>>();
  #count = 0;
  #walk: Iterator<[Map<string, Entry>, string, Entry]> | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(plugin: string, key: string): Entry | undefined {
    const entry = this.#plugins.get(plugin)?.get(key);
    return entry !== undefined && this.#alive(entry) ? entry : undefined;
  }

  set(plugin: string, key: string, entry: Entry): void {
    const entries = this.#plugins.get(plugin) ?? new Map<string, Entry>();
    this.#plugins.set(plugin, entries);
    if (!entries.has(key)) {
      if (this.#count >= stateMemoryEntriesMax) this.sweep();
      if (this.#count >= stateMemoryEntriesMax) {
        throw new OperationalError('store-full', `the memory state holds ${this.#count} keys`, {
          temporary: true,
        });
      }
      this.#count++;
    }
    entries.set(key, entry);
  }

  delete(plugin: string, key: string): void {
    if (this.#plugins.get(plugin)?.delete(key)) this.#count--;
  }

  keys(plugin: string, prefix: string): string[] {
    const keys: string[] = [];
    for (const [key, entry] of this.#plugins.get(plugin) ?? []) {
      if (key.startsWith(prefix) && this.#alive(entry)) keys.push(key);
    }
    return keys.sort(byCodePoint);
  }

  sweep(): number {
    let removed = 0;
    for (let looked = 0; looked < stateSweepRows; looked++) {
      this.#walk ??= this.#all();
      const next = this.#walk.next();
      if (next.done) {
        this.#walk = undefined;
        break;
      }
      const [entries, key, entry] = next.value;
      if (this.#alive(entry) || entries.get(key) !== entry) continue;
      entries.delete(key);
      this.#count--;
      removed++;
    }
    return removed;
  }

  #alive(entry: Entry): boolean {
    return entry.expires === null || entry.expires > this.#clock.now();
  }

  *#all(): Generator<[Map<string, Entry>, string, Entry]> {
    for (const entries of this.#plugins.values()) {
      for (const [key, entry] of entries) yield [entries, key, entry];
    }
  }
}

function pluginState(memory: Memory, plugin: string, clock: Clock): StateKeys {
  return {
    async get(key) {
      const entry = memory.get(plugin, checkKey(key));
      return entry === undefined ? undefined : JSON.parse(entry.text);
    },
    async set(key, value, options) {
      memory.set(plugin, checkKey(key), { text: encodeValue(value), expires: expiryOf(clock, options) });
    },
    async delete(key) {
      memory.delete(plugin, checkKey(key));
    },
    async increment(key, by = 1, options) {
      const entry = memory.get(plugin, checkKey(key));
      const value = addTo(entry?.text, by);
      const expires = entry === undefined ? expiryOf(clock, options) : entry.expires;
      memory.set(plugin, checkKey(key), { text: encodeValue(value), expires });
      return value;
    },
    async setIfAbsent(key, value, options) {
      if (memory.get(plugin, checkKey(key)) !== undefined) return false;
      memory.set(plugin, checkKey(key), { text: encodeValue(value), expires: expiryOf(clock, options) });
      return true;
    },
    async list(prefix, limit) {
      return memory.keys(plugin, checkKey(prefix)).slice(0, checkLimit(limit));
    },
    async getAll(keys) {
      return Object.fromEntries(
        checkKeys(keys).flatMap((key) => {
          const entry = memory.get(plugin, key);
          return entry === undefined ? [] : [[key, JSON.parse(entry.text)]];
        }),
      );
    },
    async incrementAll(keys, by, options) {
      const expires = expiryOf(clock, options);
      const values = checkKeys(keys).map((key) => [key, addTo(memory.get(plugin, key)?.text, by)] as const);
      for (const [key, value] of values) memory.set(plugin, key, { text: encodeValue(value), expires });
    },
  };
}

/** Order of UTF-8 octets, which is the order of code points; JavaScript's own differs above U+FFFF. */
function byCodePoint(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}
