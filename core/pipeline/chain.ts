/**
 * Runs the stages of one request through the plugins of its pipeline, inside the thread: in the config's order, each
 * plugin seeing what those before it left. A plugin that fails in any way is answered for by its policy.
 */

import { describeError } from '../base/errors.ts';
import { pipelineLimits } from '../base/limits/pipeline.ts';
import type { Limits } from '../base/limits/settings.ts';
import type { Recipient } from '../mail/envelope.ts';
import type { Message } from '../mail/message.ts';
import { openMessage } from '../mail/open-message.ts';
import { kindOf, rewritesEnvelope } from '../plugin/effects.ts';
import type { HookInputs, Hooks } from '../plugin/hooks.ts';
import { BadAnswer } from '../session/bad-answer.ts';
import { deepFreeze } from '../session/deep-freeze.ts';
import { beginStage, ends, type Gathered, mergeAnswer, type Standing } from '../session/merge.ts';
import type { Action } from '../session/plan.ts';
import type { HookName } from '../session/powers.ts';
import { readAnswer } from '../session/read-answer.ts';
import type { HookAnswer } from '../session/results.ts';
import { brokenSignatures } from './broken-signatures.ts';
import type { Deadlines } from './deadlines.ts';
import { failureAnswer } from './failure.ts';
import { CallContext, CallTimeout, type ContextBasis, PluginCall } from './plugin-call.ts';
import type { PipelineOutcome, PipelineRequest, ScriptVersions, TraceEntry } from './request.ts';
import type { Running } from './running.ts';
import { stateChange } from './state-change.ts';
import { type TraceFacts, traceCall } from './trace.ts';
import { callCode, type KnownFailure, type ReadyEntry, type RunReply, type RunTask } from './wire.ts';

/** An entry of a pipeline as the thread runs it. */
export interface RunnableEntry extends ReadyEntry {
  /** In the pipeline. */
  readonly index: number;
  readonly hooks: Hooks<unknown, unknown>;
  readonly context: ContextBasis;
  /** The plugin did not load, or its setup failed, in this thread. */
  readonly broken?: KnownFailure;
}

/** What all chains of a thread share. */
export interface ChainHouse {
  /** The entries that have a hook, in order; empty for none. */
  entriesOf(pipeline: string, hook: HookName): readonly RunnableEntry[];
  readonly running: Running<PluginCall>;
  readonly deadlines: Deadlines;
  readonly domains: readonly string[];
  readonly limits: Limits;
}

/** Never throws for what a plugin does. */
export function runChain(task: RunTask, house: ChainHouse): Promise<RunReply> {
  return new Chain(task, house).run();
}

/** One of `deliveries`, with its place. */
interface Delivery {
  readonly index: number;
  readonly recipient: Recipient;
  readonly user: string;
  readonly detail: string;
  readonly addresses: readonly string[];
  readonly scripts?: ScriptVersions;
}

class Chain {
  readonly #task: RunTask;
  readonly #request: PipelineRequest;
  readonly #house: ChainHouse;
  #message: { readonly edits: Gathered['edits']; readonly message: Message } | undefined;

  constructor(task: RunTask, house: ChainHouse) {
    this.#task = task;
    this.#request = freezeRequest(task.request);
    this.#house = house;
  }

  async run(): Promise<RunReply> {
    const { state, envelope, recipient, stages } = this.#request;
    const trace: TraceEntry[] = [];
    let standing = beginStage(state, envelope, recipient);
    let outcomes: PipelineOutcome['recipients'] = {};
    for (const stage of stages) {
      if (stage === 'deliver') {
        const delivered = await this.#deliverAll(standing, trace);
        standing = delivered.standing;
        outcomes = delivered.recipients;
      } else {
        standing = await this.#runStage(stage, standing, trace);
      }
      if (standing.ended) break;
    }
    return replyOf(this.#request, standing, outcomes, trace);
  }

  async #runStage(
    stage: HookName,
    before: Standing,
    trace: TraceEntry[],
    delivery?: Delivery,
  ): Promise<Standing> {
    let standing = before;
    for (const entry of this.#house.entriesOf(this.#request.pipeline, stage)) {
      if (this.#isSkipped(entry, stage, standing)) continue;
      standing = await this.#step(entry, stage, standing, trace, delivery);
      if (standing.ended) break;
    }
    return standing;
  }

  #isSkipped({ manifest }: RunnableEntry, stage: HookName, { gathered }: Standing): boolean {
    const { pass } = this.#request;
    if (stage === 'rcptTo' && pass !== undefined && rewritesEnvelope(manifest) !== (pass === 'rewrite'))
      return true;
    if (!gathered.accepted) return false;
    const kind = kindOf(manifest);
    return kind === 'verify' || kind === 'score';
  }

  /** One plugin: call, check, merge, trace. */
  async #step(
    entry: RunnableEntry,
    stage: HookName,
    standing: Standing,
    trace: TraceEntry[],
    delivery?: Delivery,
  ): Promise<Standing> {
    const call = new PluginCall({
      request: this.#task.number,
      code: callCode(stage, entry.index, delivery?.index ?? 0),
      hook: stage,
      plugin: entry.manifest.name,
      user: delivery?.user ?? this.#request.moved?.user,
      scripts: delivery?.scripts,
      timeoutMs: entry.timeoutMs,
      requestDeadline: this.#request.deadline,
    });
    let answer: HookAnswer = {};
    let facts: TraceFacts =
      delivery === undefined ? this.#recipientFact(stage) : { recipient: delivery.recipient.id };
    let merged: Standing;
    try {
      const given = this.#call(entry, stage, standing, call, delivery);
      const value = isThenable(given) ? await call.wait(given, this.#house.deadlines) : given;
      answer = withOwnKeys(readAnswer(value, stage, standing.envelope?.recipients ?? []), call.plugin);
      merged = mergeAnswer(standing, call.plugin, answer);
      if (answer.edits !== undefined && answer.edits.length > 0)
        facts = { ...facts, ...this.#breaks(standing, answer) };
    } catch (error) {
      const failure = this.#failureOf(error, entry);
      answer = failureAnswer(entry.onFailure, call.plugin, stage);
      merged = mergeAnswer(standing, call.plugin, answer);
      facts = { ...facts, failure };
    }
    call.end();
    if (entry.shadow) facts = { ...facts, shadow: true };
    trace.push(traceCall(call, answer, facts));
    return entry.shadow ? standing : merged;
  }

  #call(
    entry: RunnableEntry,
    stage: HookName,
    standing: Standing,
    call: PluginCall,
    delivery?: Delivery,
  ): unknown {
    const known = this.#knownFailure(entry, call.code);
    if (known !== undefined) throw new KnownFailureError(known);
    if (call.timeoutMs <= 0) throw new CallTimeout(Math.round(call.timeoutMs));
    const input = this.#inputOf(stage, standing, delivery);
    const context = new CallContext(entry.context, call);
    const { hooks } = entry;
    // The type of the input follows the hook's name, which the compiler cannot follow through a variable.
    const hook = hooks[stage] as (input: unknown, context: CallContext) => unknown;
    return this.#house.running.run(call, () => hook.call(hooks, input, context));
  }

  #knownFailure(entry: RunnableEntry, code: number): KnownFailure | undefined {
    if (entry.broken !== undefined) return entry.broken;
    if (this.#task.connectionLost && entry.manifest.affinity === 'connection') {
      return { kind: 'thread-died', message: 'the thread of this connection ended' };
    }
    return this.#task.failed?.get(code);
  }

  #failureOf(error: unknown, entry: RunnableEntry): NonNullable<TraceEntry['failure']> {
    const policy = entry.onFailure;
    if (error instanceof KnownFailureError)
      return { kind: error.failure.kind, message: error.message, policy };
    const kind =
      error instanceof CallTimeout ? 'timeout' : error instanceof BadAnswer ? 'bad-answer' : 'throw';
    return { kind, message: describeThrown(error), policy };
  }

  #recipientFact(stage: HookName): TraceFacts {
    return stage === 'rcptTo' && this.#request.recipient !== undefined
      ? { recipient: this.#request.recipient.id }
      : {};
  }

  #breaks(standing: Standing, { edits = [] }: HookAnswer): TraceFacts {
    if (this.#request.message === undefined) return {};
    const broken = brokenSignatures(
      this.#messageOf(standing.gathered.edits).headers,
      edits,
      this.#house.domains,
    );
    return broken.length === 0 ? {} : { breaksSignatures: broken };
  }

  /** Opened once for the same edits, so that plugins share what was parsed. */
  #messageOf(edits: Gathered['edits']): Message {
    if (this.#message?.edits === edits) return this.#message.message;
    const { message: source, envelope } = this.#request;
    if (source === undefined) throw new Error('this stage was raised without a message');
    const message = openMessage(source, edits, { limits: this.#house.limits, smtputf8: envelope?.smtputf8 });
    Object.freeze(message.headers);
    Object.freeze(message);
    this.#message = { edits, message };
    return message;
  }

  #inputOf(stage: HookName, standing: Standing, delivery?: Delivery): HookInputs[HookName] {
    const { connection, session, id, recipient, route, nextHop, moved, reason } = this.#request;
    const { results, score, symbols, auth } = standing.gathered;
    const base = { connection, session, results };
    switch (stage) {
      case 'connect':
      case 'helo':
      case 'auth':
        return base;
      case 'close':
        return { ...base, reason: reason ?? 'lost' };
      case 'moved':
        return { ...moved!, message: this.#messageOf(standing.gathered.edits), results };
      case 'mailFrom':
      case 'data':
        return { ...base, id, envelope: standing.envelope! };
      case 'rcptTo':
        return {
          ...base,
          id,
          envelope: standing.envelope!,
          recipient: standing.pending?.recipient ?? recipient!,
          route: route ?? 'refused',
        };
      default: {
        const message = this.#messageOf(standing.gathered.edits);
        const input = { ...base, id, envelope: standing.envelope!, message, score, symbols, auth };
        if (delivery !== undefined) {
          const { recipient: to, user, detail, addresses } = delivery;
          return { ...input, recipient: to, user, detail, addresses };
        }
        return stage === 'send' ? { ...input, nextHop: nextHop ?? '' } : input;
      }
    }
  }

  /** Every recipient on its own, some at the same time; their traces stay in the order of the recipients. */
  async #deliverAll(
    standing: Standing,
    trace: TraceEntry[],
  ): Promise<{ standing: Standing; recipients: PipelineOutcome['recipients'] }> {
    const { gathered } = standing;
    const waiting = (this.#request.deliveries ?? []).map((delivery, index) => ({ ...delivery, index }));
    const traces: TraceEntry[][] = waiting.map(() => []);
    const recipientEdits = { ...gathered.recipientEdits };
    const recipients: Record<string, PipelineOutcome['recipients'][string]> = {};
    const next = waiting.values();
    const work = async () => {
      for (const delivery of next) {
        const { id } = delivery.recipient;
        const decided = standing.recipients[id];
        if (decided !== undefined && ends(decided)) continue;
        const own = gathered.recipientEdits[id] ?? [];
        const edits = own.length === 0 ? gathered.edits : [...gathered.edits, ...own];
        const before = beginStage({ ...gathered, edits }, standing.envelope);
        const after = await this.#runStage('deliver', before, traces[delivery.index]!, delivery);
        if (after.gathered.edits !== edits)
          recipientEdits[id] = after.gathered.edits.slice(gathered.edits.length);
        const verdict = after.verdict === before.verdict ? undefined : after.verdict;
        const actions = after.actions.length === 0 ? undefined : after.actions;
        if (verdict !== undefined || actions !== undefined) {
          recipients[id] = { ...(verdict && { verdict }), ...(actions && { actions }) };
        }
      }
    };
    await Promise.all(
      Array.from({ length: Math.min(pipelineLimits.deliveriesAtOnce, waiting.length) }, work),
    );
    trace.push(...traces.flat());
    return { standing: { ...standing, gathered: { ...gathered, recipientEdits } }, recipients };
  }
}

class KnownFailureError extends Error {
  readonly failure: KnownFailure;

  constructor(failure: KnownFailure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** Keys that an action sets later are the plugin's own, as all keys of its state. */
function withOwnKeys(answer: HookAnswer, plugin: string): HookAnswer {
  if (answer.actions === undefined) return answer;
  const actions = answer.actions.map((action): Action => {
    if (action.type === 'remember') return { ...action, plugin };
    return action.type === 'reply' && action.once ? { ...action, once: { ...action.once, plugin } } : action;
  });
  return { ...answer, actions };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  );
}

/** Message and the first line of the plugin's own code, for the author. */
function describeThrown(error: unknown): string {
  const at = error instanceof Error ? /\n\s+at (.*)/.exec(error.stack ?? '')?.[1] : undefined;
  const text = describeError(error).slice(0, 500);
  return at === undefined || error instanceof CallTimeout || error instanceof BadAnswer
    ? text
    : `${text} (at ${at})`;
}

/** What the plugins of a request share must not be changed by one of them. */
function freezeRequest(request: PipelineRequest): PipelineRequest {
  const { connection, session, envelope, recipient, deliveries, moved, state } = request;
  deepFreeze(connection);
  deepFreeze(session);
  deepFreeze(envelope);
  deepFreeze(recipient);
  deepFreeze(deliveries);
  deepFreeze(moved);
  deepFreeze(state.results);
  deepFreeze(state.symbols);
  deepFreeze(state.auth);
  return request;
}

function replyOf(
  request: PipelineRequest,
  standing: Standing,
  delivered: PipelineOutcome['recipients'],
  trace: readonly TraceEntry[],
): RunReply {
  const { verdict, envelope, pending, gathered, actions } = standing;
  const recipients: Record<string, PipelineOutcome['recipients'][string]> = { ...delivered };
  for (const [id, own] of Object.entries(standing.recipients))
    recipients[id] = { ...recipients[id], verdict: own };
  return {
    verdict,
    recipients,
    ...(envelope !== request.envelope && { envelope }),
    ...(pending !== undefined && pending.recipient !== request.recipient && { recipient: pending.recipient }),
    ...(pending !== undefined && pending.added.length > 0 && { addedRecipients: pending.added }),
    ...(actions.length > 0 && { actions }),
    change: stateChange(request.state, gathered),
    trace,
  };
}
