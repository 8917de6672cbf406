/** Runs compiled scripts over a message: plans actions, does nothing. RFC 5228 section 2.10. */
import type { KeepAction, SieveAction } from './actions.ts';
import { runBlock } from './compiler.ts';
import type { Environment } from './environment.ts';
import { Fault, Suspended } from './fault.ts';
import { defaultSieveLimits } from './limits.ts';
import { wholeMessage } from './message.ts';
import type { Outcome, RuntimeError } from './outcome.ts';
import type { Program } from './program.ts';
import { Run, type RunInit } from './run.ts';
import type { LazyMessage, RunOptions } from './run-types.ts';
import type { Script } from './script.ts';

/**
 * Runs one script, or several in turn: the next one runs as long as the message is still to be kept. Never rejects for
 * what a script or message does; a rejection of the environment's answers passes through.
 */
export async function runSieve(
  programs: Program | readonly Program[],
  message: Uint8Array | LazyMessage,
  environment: Environment,
  options: RunOptions = {},
): Promise<Outcome> {
  const init = initOf(message, environment, options);
  // Each round answers one question more, and the run has a limit of questions.
  while (true) {
    try {
      return attempt(Array.isArray(programs) ? programs : [programs as Program], init);
    } catch (reason) {
      if (!(reason instanceof Suspended)) throw reason;
      init.answers.set(reason.key, await reason.answer);
    }
  }
}

export function initOf(
  message: Uint8Array | LazyMessage,
  environment: Environment,
  options: RunOptions,
): RunInit {
  return {
    message: message instanceof Uint8Array ? wholeMessage(message) : message,
    environment,
    limits: { ...defaultSieveLimits, ...options.limits },
    trace: options.trace === true,
    answers: new Map(),
    startedMs: performance.now(),
  };
}

/** @throws Suspended */
function attempt(programs: readonly Program[], init: RunInit): Outcome {
  const run = new Run(init);
  try {
    runInTurn(run, programs as readonly Script[]);
    return outcomeOf(run, finishPlan(run), undefined);
  } catch (reason) {
    if (!(reason instanceof Fault)) throw reason;
    const error: RuntimeError = { ...run.place, message: reason.message };
    // RFC 5228 section 2.10.6: whatever went wrong, the message is kept, as it came.
    return outcomeOf(run, [implicitKeep(run, true)], error);
  }
}

/**
 * Scripts as long as each keeps the message: its keep then only says that the next one may decide.
 * @throws Fault, Suspended
 */
export function runInTurn(run: Run, scripts: readonly Script[]): void {
  for (const script of scripts) {
    if (!run.plan.keeps) return;
    run.plan.beginScript();
    runScript(run, script);
  }
}

/** @throws Fault, Suspended */
export function runScript(run: Run, script: Script): void {
  run.frame = { script, variables: [], matchValues: undefined };
  run.includes.stack.length = 0;
  run.exit = undefined;
  runBlock(run, script.steps);
  run.exit = undefined;
}

/** The actions of the entries, and the implicit keep where nothing cancelled it. */
export function finishPlan(run: Run): readonly SieveAction[] {
  const actions: SieveAction[] = [];
  let discard: SieveAction = { type: 'discard' };
  for (const entry of run.plan.entries) {
    run.place = entry.at;
    const action = entry.finish();
    if (action?.type === 'discard') discard = action;
    else if (action) actions.push(action);
  }
  if (run.plan.implicitKeep && !run.plan.entries.some((entry) => entry.key === 'store INBOX'))
    actions.push(implicitKeep(run, false));
  return actions.length > 0 ? actions : [discard];
}

function implicitKeep(run: Run, failed: boolean): KeepAction {
  return {
    type: 'keep',
    implicit: true,
    flags: failed ? (run.environment.flags ?? []) : run.flags,
    edits: failed ? [] : run.message.edits,
  };
}

function outcomeOf(run: Run, actions: readonly SieveAction[], error: RuntimeError | undefined): Outcome {
  return {
    actions,
    ...(error && { error }),
    notes: run.notes,
    seen: error ? [] : run.seen,
    trace: run.trace?.finish() ?? [],
    log: run.log,
  };
}
