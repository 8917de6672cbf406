/**
 * What crosses between the core and one plugin thread: the tasks by which the pool starts it, the messages of the
 * port beside it, and the shared counters by which the core sees what a thread that no longer answers was doing.
 */
import type { MessagePort } from 'node:worker_threads';
import type { Json } from '../base/json.ts';
import type { Limits } from '../base/limits/settings.ts';
import type { FailurePolicy } from '../plugin/entry.ts';
import type { PluginManifest } from '../plugin/hooks.ts';
import { type HookName, hookNames } from '../session/powers.ts';
import type { FailureKind, PipelineOutcome, PipelineRequest } from './request.ts';
import type { StateChange } from './state-change.ts';

/** Indexes into the shared Int32Array. Written by the thread, read by the core. */
export const beacon = {
  /** Grows with every ping that the thread's event loop has answered, and with every call that gave control back. */
  beat: 0,
  /** The call whose code runs at this moment: its request's number (0: none), and which call of it. */
  runningRequest: 1,
  runningCall: 2,
  /** The call that began last, of the request that began it. */
  lastRequest: 3,
  lastCall: 4,
  /** While plugins load: 1 + the index of the one that is loading. */
  loading: 5,
  /** MiB that the thread holds outside its heap (Buffers), as of a recent ping: no heap limit sees them. */
  externalMiB: 6,
  length: 7,
} as const;

/** First task of a thread. */
export interface LoadTask {
  readonly port: MessagePort;
  readonly shared: SharedArrayBuffer;
  /** Absolute paths of plugin files. */
  readonly files: readonly string[];
  readonly house: House;
}

/** What every plugin of an installation may know. */
export interface House {
  /** Directory of package.json: `mailfilter/*` imports lead there. */
  readonly installDirectory: string;
  /** Directory of the config file. */
  readonly baseDirectory: string;
  readonly hostname: string;
  readonly domains: readonly string[];
  readonly limits: Limits;
}

export type LoadedPlugin = { readonly manifest: PluginManifest } | { readonly error: string };

/** Second task: which entries the pipelines hold, options checked. Answers the failures of setup. */
export interface SetupTask {
  readonly pipelines: ReadyPipelines;
}

/** One entry of a pipeline whose plugin is known and whose options are checked, defaults filled in. */
export interface ReadyEntry {
  /** Index into the files of the LoadTask. */
  readonly plugin: number;
  readonly manifest: PluginManifest;
  readonly options: Json;
  readonly onFailure: FailurePolicy;
  readonly timeoutMs: number;
  readonly shadow: boolean;
}
export type ReadyPipelines = Readonly<Record<string, readonly ReadyEntry[]>>;

export interface SetupFailure {
  readonly pipeline: string;
  readonly entry: number;
  readonly error: string;
}

/** A failure that is known before the call: the call is not made, and the policy decides. */
export interface KnownFailure {
  readonly kind: FailureKind;
  readonly message: string;
}

/** A request on its way to a thread. */
export interface RunTask {
  /** The core's number of the request; the same when it runs again. Never 0. */
  readonly number: number;
  readonly request: PipelineRequest;
  /** Calls that ended a thread before, by call code. */
  readonly failed?: ReadonlyMap<number, KnownFailure>;
  /** The thread that this connection was pinned to is gone: plugins of that affinity have failed. */
  readonly connectionLost?: boolean;
}

/** An outcome on its way back. */
export interface RunReply extends Omit<PipelineOutcome, 'state'> {
  readonly change: StateChange;
}

export type QuestionService = 'dns' | 'state' | 'scripts' | 'mailboxes';

/** A question to the core. */
export interface Question {
  readonly type: 'question';
  /** Of this thread. */
  readonly id: number;
  readonly request: number;
  /** Call code and ordinal: a second run of the request asks under the same key. */
  readonly key: string;
  readonly plugin: string;
  /** deliver only: whose scripts and mailboxes. */
  readonly user?: string;
  readonly service: QuestionService;
  readonly method: string;
  readonly args: readonly Json[];
}
export type QuestionAnswer =
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly type: 'answer'; readonly id: number; readonly error: WireError };
export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly code: string;
  readonly temporary: boolean;
}

/** What a plugin printed, or an error that no call waited for. */
export interface Output {
  readonly type: 'output';
  readonly event: 'plugin-output' | 'plugin-stray-error' | 'plugin-log';
  readonly plugin?: string;
  readonly text: string;
}

/** How a request ended: every one is answered once, unless its thread ends first. */
export type RequestEnd =
  | { readonly type: 'outcome'; readonly number: number; readonly reply: RunReply }
  | { readonly type: 'failed'; readonly number: number; readonly message: string };

export type FromThread = RequestEnd | Question | Output | { readonly type: 'disposed' };
export type ToThread =
  | { readonly type: 'run'; readonly task: RunTask }
  | QuestionAnswer
  | { readonly type: 'ping' }
  | { readonly type: 'dispose' };

/** One number for a call within its request: hook, index of the entry in the pipeline, index of the delivery. */
export function callCode(hook: HookName, entry: number, delivery: number): number {
  return (hookNames.indexOf(hook) << 26) | ((entry & 0xff) << 18) | (delivery & 0x3ffff);
}

export function decodeCall(code: number): { hook: HookName; entry: number; delivery: number } {
  return { hook: hookNames[code >>> 26]!, entry: (code >>> 18) & 0xff, delivery: code & 0x3ffff };
}
