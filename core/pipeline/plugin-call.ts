/** One call of one hook: its deadline, its context, what it logged and asked. */

import type { Clock } from '../base/clock.ts';
import { describeError } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import { answerLimits, pipelineLimits } from '../base/limits/pipeline.ts';
import type { HookContext, PluginDns, PluginMailboxes, PluginScripts, PluginState } from '../plugin/hooks.ts';
import { copyJson } from '../session/copy-json.ts';
import type { HookName } from '../session/powers.ts';
import type { Asker } from './ask.ts';
import type { Deadlines, Waiting } from './deadlines.ts';
import type { ScriptVersions, TraceEntry } from './request.ts';
import { shorten } from './trace.ts';

/** A call had not answered when its time was up. */
export class CallTimeout extends Error {
  constructor(ms: number) {
    super(`no answer within ${ms} ms`);
    this.name = 'CallTimeout';
  }
}

export interface CallInit {
  readonly request: number;
  readonly code: number;
  readonly hook: HookName;
  readonly plugin: string;
  readonly user?: string;
  /** Versions of the user's scripts. */
  readonly scripts?: ScriptVersions;
  readonly timeoutMs: number;
  /** Epoch milliseconds of the client's patience. */
  readonly requestDeadline?: number;
}

type Log = NonNullable<TraceEntry['log']>[number];
type Asked = NonNullable<TraceEntry['asked']>[number];

export class PluginCall implements Waiting {
  readonly request: number;
  readonly code: number;
  readonly hook: HookName;
  readonly plugin: string;
  readonly user: string | undefined;
  readonly scripts: ScriptVersions | undefined;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  readonly startedMs: number;
  readonly dueMs: number;
  readonly timeoutMs: number;
  log: Log[] | undefined;
  asked: Asked[] | undefined;
  /** How many questions it has asked. */
  ordinal = 0;
  /** Set once the call has answered or failed: what it does later has no effect. */
  over = false;
  #controller: AbortController | undefined;
  #reject: ((error: unknown) => void) | undefined;

  constructor(init: CallInit) {
    this.request = init.request;
    this.code = init.code;
    this.hook = init.hook;
    this.plugin = init.plugin;
    this.user = init.user;
    this.scripts = init.scripts;
    this.startedAt = Date.now();
    this.startedMs = performance.now();
    const patienceMs =
      init.requestDeadline === undefined ? init.timeoutMs : init.requestDeadline - this.startedAt;
    this.timeoutMs = Math.min(init.timeoutMs, patienceMs);
    this.dueMs = this.startedMs + this.timeoutMs;
  }

  /** The promise's outcome, or CallTimeout, or the error of fail(), whichever comes first. */
  wait(promise: PromiseLike<unknown>, deadlines: Deadlines): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      deadlines.add(this);
      promise.then(resolve, reject);
    }).finally(() => deadlines.delete(this));
  }

  expire(): void {
    const error = new CallTimeout(Math.round(this.timeoutMs));
    this.#controller?.abort(error);
    this.#reject?.(error);
  }

  /** An error outside the promise that is waited for: a throw in a timer, a rejection nobody handles. */
  fail(error: unknown): void {
    this.#reject?.(error);
  }

  end(): void {
    this.over = true;
    this.#reject = undefined;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  addLog(event: string, facts: unknown): void {
    if (this.over) return;
    this.log ??= [];
    if (this.log.length >= answerLimits.logLinesMax) return;
    const name = String(event).slice(0, 200);
    this.log.push(facts === undefined ? { event: name } : { event: name, facts: readFacts(facts) });
  }

  addAsked(what: string, answer: Json, ms: number): void {
    if (this.over) return;
    this.asked ??= [];
    if (this.asked.length >= pipelineLimits.traceItemsMax) return;
    this.asked.push({ what: what.slice(0, 500), answer: shorten(answer), ms: Math.round(ms * 1000) / 1000 });
  }
}

/** Facts that cannot be written must not fail the plugin: the line says so instead. */
function readFacts(facts: unknown): Readonly<Record<string, Json>> {
  try {
    const copied = copyJson(facts, 'facts');
    return typeof copied === 'object' && copied !== null && !Array.isArray(copied)
      ? (copied as Readonly<Record<string, Json>>)
      : { value: copied };
  } catch (error) {
    return { unwritable: describeError(error) };
  }
}

/** What of a context is the same for all calls of one entry. */
export interface ContextBasis {
  readonly options: unknown;
  /** What the entry's setup answered in this thread. */
  readonly prepared: unknown;
  readonly clock: Clock;
  readonly hostname: string;
  readonly domains: readonly string[];
  readonly asker: Asker;
}

/** Everything is made when a plugin first looks at it: most hooks use one or two of these. */
export class CallContext implements HookContext {
  readonly options: unknown;
  readonly prepared: unknown;
  readonly clock: Clock;
  readonly hostname: string;
  readonly domains: readonly string[];
  readonly log: HookContext['log'];
  readonly #call: PluginCall;
  readonly #asker: Asker;

  constructor(basis: ContextBasis, call: PluginCall) {
    this.options = basis.options;
    this.prepared = basis.prepared;
    this.clock = basis.clock;
    this.hostname = basis.hostname;
    this.domains = basis.domains;
    this.#asker = basis.asker;
    this.#call = call;
    this.log = (event, facts) => call.addLog(event, facts);
  }

  get deadline(): number {
    return this.#call.startedAt + this.#call.timeoutMs;
  }
  get signal(): AbortSignal {
    return this.#call.signal;
  }
  get dns(): PluginDns {
    return this.#asker.dns(this.#call);
  }
  get state(): PluginState {
    return this.#asker.state(this.#call);
  }
  get scripts(): PluginScripts {
    return this.#asker.scripts(this.#call);
  }
  get mailboxes(): PluginMailboxes {
    return this.#asker.mailboxes(this.#call);
  }
}
