/** Trace entries, bounded: a trace tells the story of a message and must not become a second copy of it. */
import type { Json } from '../base/json.ts';
import { pipelineLimits } from '../base/limits/pipeline.ts';
import type { Edit } from '../mail/edit.ts';
import type { Action } from '../session/plan.ts';
import type { HookAnswer } from '../session/results.ts';
import type { PluginCall } from './plugin-call.ts';
import type { FailureKind, FailurePolicy, TraceEntry } from './request.ts';

export interface TraceFacts {
  readonly recipient?: string;
  readonly shadow?: boolean;
  readonly breaksSignatures?: readonly string[];
  readonly failure?: { readonly kind: FailureKind; readonly message: string; readonly policy: FailurePolicy };
}

/** The entry of a call that is over. */
export function traceCall(call: PluginCall, answer: HookAnswer, facts: TraceFacts): TraceEntry {
  const { verdict, edits, recipients, result, score, actions } = answer;
  return {
    stage: call.hook,
    plugin: call.plugin,
    at: call.startedAt,
    ms: Math.round((performance.now() - call.startedMs) * 1000) / 1000,
    ...(verdict !== undefined && { verdict }),
    ...(edits !== undefined && { edits: shortenEdits(edits) }),
    ...(recipients !== undefined && { recipients: shorten(recipients as unknown as Json) }),
    ...(result !== undefined && { result: shorten(result) }),
    ...(score !== undefined && { score }),
    ...(actions !== undefined && { actions: actions.map(shortenAction) }),
    ...(call.log !== undefined && { log: call.log.map(shortenLog) }),
    ...(call.asked !== undefined && { asked: call.asked }),
    ...facts,
  };
}

type LogLine = NonNullable<TraceEntry['log']>[number];

function shortenLog(line: LogLine): LogLine {
  return line.facts === undefined
    ? line
    : { event: line.event, facts: shorten(line.facts) as LogLine['facts'] };
}

/** Long texts cut, long lists and objects ended early, octets counted; what was short is the same value. */
export function shorten(value: Json, charactersMax: number = pipelineLimits.traceCharactersMax): Json {
  const budget = { characters: charactersMax, items: pipelineLimits.traceItemsMax };
  return cut(value, budget);
}

function cut(value: unknown, budget: { characters: number; items: number }): Json {
  if (typeof value === 'string') {
    const text =
      value.length <= budget.characters
        ? value
        : `${value.slice(0, Math.max(0, budget.characters))}... (${value.length} characters)`;
    budget.characters -= Math.min(value.length, Math.max(0, budget.characters));
    return text;
  }
  if (typeof value !== 'object' || value === null) return value as Json;
  if (value instanceof Uint8Array) return `(${value.length} octets)`;
  const entries = Object.entries(value);
  const kept: [string, Json][] = [];
  for (const [key, item] of entries) {
    budget.items -= 1;
    if (budget.items < 0 || budget.characters <= 0) break;
    budget.characters -= key.length;
    kept.push([key, cut(item, budget)]);
  }
  const missing = entries.length - kept.length;
  if (Array.isArray(value)) {
    const items = kept.map(([, item]) => item);
    return missing > 0 ? [...items, `... ${missing} more`] : items;
  }
  return Object.fromEntries(missing > 0 ? [...kept, ['...', `${missing} more`]] : kept);
}

const noOctets = new Uint8Array(0);

/** Edits stay edits, so that the trace can be read as such; of a new body only the begin is kept. */
function shortenEdits(edits: readonly Edit[]): readonly Edit[] {
  return edits.slice(0, pipelineLimits.traceItemsMax).map((edit) => {
    if (edit.type === 'replaceBody')
      return { type: edit.type, body: edit.body.slice(0, pipelineLimits.traceCharactersMax) };
    if ('value' in edit && edit.value.length > pipelineLimits.traceCharactersMax) {
      return { ...edit, value: shorten(edit.value) as string };
    }
    return edit;
  });
}

function shortenAction(action: Action): Action {
  if (action.type === 'reply') return { ...action, message: noOctets };
  if (action.type === 'notify') return { ...action, parameters: shorten(action.parameters) };
  return 'edits' in action && action.edits !== undefined
    ? { ...action, edits: shortenEdits(action.edits) }
    : action;
}
