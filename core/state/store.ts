/** What plugins remember beyond one transaction: keys with a time to live, and counters, one namespace per plugin. */
import type { Clock } from '../base/clock.ts';
import type { Json } from '../base/json.ts';
import type { Log } from '../base/log.ts';
import { openMemoryState } from './memory.ts';
import { openSqliteState } from './sqlite.ts';

/** One plugin's keys; the state of a hook's context is this very shape. Keys are private to the plugin. */
export interface StateKeys {
  get(key: string): Promise<Json | undefined>;
  /** Without `ttlSeconds` the key stays for ever, whatever it had before. */
  set(key: string, value: Json, options?: { ttlSeconds?: number }): Promise<void>;
  delete(key: string): Promise<void>;
  /** Adds to a counter (0 when missing), answers the new value. A time to live counts from the counter's first raise. */
  increment(key: string, by?: number, options?: { ttlSeconds?: number }): Promise<number>;
  /** True for the one caller that set the key; false when it was there. */
  setIfAbsent(key: string, value: Json, options?: { ttlSeconds?: number }): Promise<boolean>;
  /** Keys that begin with prefix, at most `limit` (default 1000), in order of their UTF-8 octets. */
  list(prefix: string, limit?: number): Promise<string[]>;
  /** The values of those keys that are there, in one question. */
  getAll(keys: readonly string[]): Promise<Record<string, Json>>;
  /** Adds the same to many counters; unlike with `increment` their time to live begins anew. */
  incrementAll(keys: readonly string[], by: number, options?: { ttlSeconds?: number }): Promise<void>;
}

/**
 * The interface behind which the engine hides. Every call of StateKeys takes effect in the order of the calls and is
 * answered in that order. A failed write rejects with an OperationalError (`store-full`, `store-failed`,
 * `store-corrupt`); a key, value or time that cannot be kept is a TypeError.
 */
export interface StateStore {
  forPlugin(name: string): StateKeys;
  /** Removes expired keys, a bounded number; answers how many. Runs by itself too. */
  sweep(): Promise<number>;
  close(): Promise<void>;
}

export interface StateInit {
  readonly engine: 'sqlite' | 'memory';
  /** Absolute; holds `state.db`. Not touched by the memory engine. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Opens the store. A damaged file is moved aside and reported; any other failure throws an OperationalError. */
export function openState(init: StateInit): StateStore {
  return init.engine === 'memory' ? openMemoryState(init) : openSqliteState(init);
}
