/** Answers of the world to plugins' questions, as the trace of a message has them; what was not asked then is asked now. */
import { OperationalError } from '../../../core/base/errors.ts';
import type { Json } from '../../../core/base/json.ts';
import type { PluginDns, PluginState } from '../../../core/plugin/hooks.ts';
import type { StateKeys } from '../../../core/state/store.ts';
import type { WalkTrace } from '../../flow/house.ts';

type Method = (...args: unknown[]) => Promise<unknown>;

/** Which answers count changes with each message. */
export class RecordedAnswers {
  /** By question; for state with the plugin's name before it. */
  #answers = new Map<string, Json>();

  /** The answers of one message. */
  play(trace: Pick<WalkTrace, 'entries'>): void {
    this.#answers = new Map();
    for (const { plugin, asked = [] } of trace.entries) {
      for (const { what, answer } of asked) {
        const key = what.startsWith('dns.') ? what : `${plugin} ${what}`;
        if (!this.#answers.has(key) && isWhole(answer)) this.#answers.set(key, answer);
      }
    }
  }

  /** DNS is the same for every plugin, one that was not there then included. */
  dns(live: PluginDns): PluginDns {
    return this.#before(live, 'dns', '');
  }

  /** @param live written to where the question is new; see `unwritten` */
  state(plugin: string, live: StateKeys): PluginState {
    return this.#before(live, 'state', `${plugin} `);
  }

  #before<Service extends object>(live: Service, service: string, prefix: string): Service {
    return new Proxy(live, {
      get: (target, name) => {
        const method = Reflect.get(target, name);
        if (typeof method !== 'function' || typeof name !== 'string') return method;
        return async (...args: unknown[]) => {
          const recorded = this.#answers.get(`${prefix}${service}.${name}(${args.map(written).join(', ')})`);
          if (recorded === undefined) return (method as Method).apply(target, args);
          return given(recorded);
        };
      },
    });
  }
}

/** As the trace writes a question. */
function written(argument: unknown): string {
  return JSON.stringify(argument);
}

function given(answer: Json): Json | undefined {
  const { error, code } = (answer ?? {}) as { error?: unknown; code?: unknown };
  if (typeof error === 'string' && typeof code === 'string')
    throw new OperationalError(code, error, { temporary: code !== 'dns-bad-name' });
  // An answer that was undefined is written as null, which no state holds.
  return answer ?? undefined;
}

/** A trace shortens what is long. */
function isWhole(answer: Json): boolean {
  return !/\.\.\. (?:\(\d+ characters\)|\d+ more)|"\.\.\."|^"\d+ found"$/.test(JSON.stringify(answer));
}

/** Keys that are read from `live` and written to memory alone: nothing that is tried leaves a mark. */
export function unwritten(live: StateKeys, memory: StateKeys): StateKeys {
  const gone = new Set<string>();
  const put = (key: string) => gone.delete(key);
  const get = async (key: string) => {
    if (gone.has(key)) return undefined;
    return (await memory.get(key)) ?? (await live.get(key));
  };
  const state: StateKeys = {
    get,
    async set(key, value, options) {
      put(key);
      await memory.set(key, value, options);
    },
    async delete(key) {
      gone.add(key);
      await memory.delete(key);
    },
    async increment(key, by = 1, options) {
      const before = await get(key);
      const value = (typeof before === 'number' ? before : 0) + by;
      await state.set(key, value, options);
      return value;
    },
    async setIfAbsent(key, value, options) {
      if ((await get(key)) !== undefined) return false;
      await state.set(key, value, options);
      return true;
    },
    async list(prefix, limit = 1000) {
      const [now, own] = await Promise.all([live.list(prefix, limit), memory.list(prefix, limit)]);
      return [...new Set([...now, ...own])]
        .filter((key) => !gone.has(key))
        .sort()
        .slice(0, limit);
    },
    async getAll(keys) {
      const wanted = keys.filter((key) => !gone.has(key));
      return { ...(await live.getAll(wanted)), ...(await memory.getAll(wanted)) };
    },
    async incrementAll(keys, by, options) {
      for (const key of keys) await state.increment(key, by, options);
    },
  };
  return state;
}
