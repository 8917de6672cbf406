/** Outside questions of plugins: sent from the thread to the core, which alone talks to DNS, state and mailboxes. */
import { OperationalError } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type {
  PluginDns,
  PluginMailboxes,
  PluginScripts,
  PluginState,
  RuleLanguage,
  UserScript,
} from '../plugin/hooks.ts';
import { copyJson } from '../session/copy-json.ts';
import { KnownScripts } from './known-scripts.ts';
import type { PluginCall } from './plugin-call.ts';
import type { FromThread, Question, QuestionAnswer, QuestionService } from './wire.ts';

interface Pending {
  readonly call: PluginCall;
  readonly what: string;
  readonly startedMs: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** In the trace many keys are their number. */
function written(arg: unknown): string {
  return Array.isArray(arg) && arg.length > 10 ? `${arg.length} keys` : JSON.stringify(arg);
}

/** In the trace a script is told by its name: its text is the user's, and long. */
function shown(what: string, value: unknown): Json {
  if (what.startsWith('state.getAll') && value) return `${Object.keys(value).length} found`;
  if (!what.startsWith('scripts.load') || value === undefined || value === null)
    return (value ?? null) as Json;
  const { name, source } = value as { name: string; source: string };
  return `${name}, ${source.length} characters`;
}

/** A question that the plugin's own call can no longer use. */
const over = (what: string) => new Error(`${what}: this call is over, its answer came too late or was given`);

export class Asker {
  readonly #send: (message: FromThread) => void;
  readonly #pending = new Map<number, Pending>();
  readonly #scripts = new KnownScripts();
  #lastId = 0;

  constructor(send: (message: FromThread) => void) {
    this.#send = send;
  }

  dns(call: PluginCall): PluginDns {
    const ask = (method: string) => (name: string) => this.#ask<never>(call, 'dns', method, [name]);
    return {
      a: ask('a'),
      aaaa: ask('aaaa'),
      txt: ask('txt'),
      mx: ask('mx'),
      ptr: ask('ptr'),
      ns: ask('ns'),
      cname: ask('cname'),
      exists: ask('exists'),
      srv: ask('srv'),
    };
  }

  state(call: PluginCall): PluginState {
    const ask = <Value>(method: string, args: readonly unknown[]) =>
      this.#ask<Value>(call, 'state', method, args);
    return {
      get: (key) => ask('get', [key]),
      set: (key, value, options) => ask('set', [key, value, options]),
      delete: (key) => ask('delete', [key]),
      increment: (key, by, options) => ask('increment', [key, by ?? 1, options]),
      setIfAbsent: (key, value, options) => ask('setIfAbsent', [key, value, options]),
      list: (prefix, limit) => ask('list', [prefix, limit]),
      getAll: (keys) => ask('getAll', [keys]),
      incrementAll: (keys, by, options) => ask('incrementAll', [keys, by, options]),
    };
  }

  scripts(call: PluginCall): PluginScripts {
    return {
      load: (language: RuleLanguage, name?: string) =>
        name === undefined
          ? this.#activeScript(call, language)
          : this.#ask(call, 'scripts', 'load', [language, name]),
      note: (language, text) => this.#ask(call, 'scripts', 'note', [language, text]),
    };
  }

  mailboxes(call: PluginCall): PluginMailboxes {
    return {
      exists: (mailbox) => this.#ask(call, 'mailboxes', 'exists', [mailbox]),
      list: () => this.#ask(call, 'mailboxes', 'list', []),
      metadata: (mailbox, entry) => this.#ask(call, 'mailboxes', 'metadata', [mailbox, entry]),
      withId: (id) => this.#ask(call, 'mailboxes', 'withId', [id]),
      specialUse: (attribute) => this.#ask(call, 'mailboxes', 'specialUse', [attribute]),
    };
  }

  /** The request says which version it is: asked for once, and again when it is another. */
  async #activeScript(call: PluginCall, language: RuleLanguage): Promise<UserScript | undefined> {
    const version = call.over ? undefined : call.scripts?.[language];
    const known = version === undefined ? undefined : this.#scripts.get(call.user, language, version);
    if (known === undefined && version !== '') {
      const script = await this.#ask<UserScript | undefined>(call, 'scripts', 'load', [language]);
      return script && this.#scripts.remember(call.user, language, script);
    }
    const what = `scripts.load("${language}")`;
    call.addAsked(what, shown(what, known), 0);
    return known;
  }

  /** An answer of the core. */
  settle(answer: QuestionAnswer): void {
    const pending = this.#pending.get(answer.id);
    if (pending === undefined) return;
    this.#pending.delete(answer.id);
    const ms = performance.now() - pending.startedMs;
    if ('error' in answer) {
      const { name, message, code, temporary } = answer.error;
      const error = new OperationalError(code, message, { temporary });
      error.name = name;
      pending.call.addAsked(pending.what, { error: message, code }, ms);
      pending.reject(error);
    } else {
      pending.call.addAsked(pending.what, shown(pending.what, answer.value), ms);
      pending.resolve(answer.value);
    }
  }

  #ask<Value>(
    call: PluginCall,
    service: QuestionService,
    method: string,
    args: readonly unknown[],
  ): Promise<Value> {
    return new Promise<unknown>((resolve, reject) => {
      const given = args.slice(0, args.findLastIndex((arg) => arg !== undefined) + 1);
      const what = `${service}.${method}(${given.map(written).join(', ')})`;
      if (call.over) throw over(what);
      this.#lastId += 1;
      const question: Question = {
        type: 'question',
        id: this.#lastId,
        request: call.request,
        key: `${call.code}/${call.ordinal++}`,
        plugin: call.plugin,
        ...(call.user !== undefined && { user: call.user }),
        service,
        method,
        args: given.map((arg) => copyJson(arg, what)),
      };
      this.#send(question);
      this.#pending.set(question.id, { call, what, startedMs: performance.now(), resolve, reject });
    }) as Promise<Value>;
  }
}
