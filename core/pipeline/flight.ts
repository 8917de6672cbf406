/** A request under way, through all its runs. */
import { pipelineLimits } from '../base/limits/pipeline.ts';
import type { RememberedAnswers } from './answers.ts';
import type { Carrier } from './carrier.ts';
import type { PipelineOutcome, PipelineRequest } from './request.ts';
import type { KnownFailure, ReadyEntry, RunTask } from './wire.ts';

export interface Flight {
  /** Never 0, and the same in every run. */
  readonly number: number;
  readonly request: PipelineRequest;
  readonly resolve: (outcome: PipelineOutcome) => void;
  /** What the outside world told the first run. */
  readonly answers: RememberedAnswers;
  /** Calls that ended a thread. */
  readonly failed: Map<number, KnownFailure>;
  /** On the clock of performance.now(): past it the plugins' policies answer. */
  readonly dueMs: number;
  /** How often it was given to a thread. */
  runs: number;
  /** To run with no other request in the same thread, for a thread has died with it on board. */
  alone: boolean;
  /** The thread its connection was pinned to is gone. */
  connectionLost: boolean;
  carrier: Carrier | undefined;
}

/** Numbers fit the shared counters, and 0 means none. */
export function nextNumber(last: number): number {
  return last >= 0x7fffffff ? 1 : last + 1;
}

/** The longest a request may take: every plugin its whole timeout, or the client's patience, and some grace. */
export function dueOf(request: PipelineRequest, entries: readonly ReadyEntry[]): number {
  let totalMs = 0;
  for (const stage of request.stages) {
    const rounds =
      stage === 'deliver'
        ? Math.ceil((request.deliveries?.length ?? 0) / pipelineLimits.deliveriesAtOnce)
        : 1;
    for (const { manifest, timeoutMs } of entries) {
      if (manifest.hooks.includes(stage)) totalMs += timeoutMs * rounds;
    }
  }
  const patienceMs =
    request.deadline === undefined ? totalMs : Math.min(totalMs, request.deadline - Date.now());
  return performance.now() + Math.max(0, patienceMs) + pipelineLimits.lostReplyMs;
}

export function taskOf({ number, request, failed, connectionLost }: Flight): RunTask {
  return {
    number,
    request,
    ...(failed.size > 0 && { failed }),
    ...(connectionLost && { connectionLost }),
  };
}
