/** The outcome of a request that no thread could answer: every plugin it still had to pass has failed, in order. */
import type { RecipientId } from '../mail/envelope.ts';
import { kindOf, rewritesEnvelope } from '../plugin/effects.ts';
import { beginStage, mergeAnswer, type Standing } from '../session/merge.ts';
import type { HookName } from '../session/powers.ts';
import { failureAnswer } from './failure.ts';
import type { PipelineOutcome, PipelineRequest, TraceEntry } from './request.ts';
import { callCode, type KnownFailure, type ReadyEntry } from './wire.ts';

/**
 * @param entries of the request's pipeline
 * @param known failures of single calls that say more than `failure`
 */
export function settleByPolicy(
  request: PipelineRequest,
  entries: readonly ReadyEntry[],
  failure: KnownFailure,
  known?: ReadonlyMap<number, KnownFailure>,
): PipelineOutcome {
  const trace: TraceEntry[] = [];
  const at = Date.now();
  let standing = beginStage(request.state, request.envelope, request.recipient);
  const recipients: Record<RecipientId, PipelineOutcome['recipients'][string]> = {};
  const failStage = (stage: HookName, before: Standing, delivery?: number): Standing => {
    let after = before;
    for (const [index, entry] of entries.entries()) {
      if (after.ended) break;
      if (!isDue(entry, stage, request)) continue;
      const { kind, message } = known?.get(callCode(stage, index, delivery ?? 0)) ?? failure;
      const answer = failureAnswer(entry.onFailure, entry.manifest.name, stage);
      trace.push({
        stage,
        plugin: entry.manifest.name,
        at,
        ms: 0,
        ...(answer.verdict !== undefined && { verdict: answer.verdict }),
        ...(delivery !== undefined && { recipient: request.deliveries?.[delivery]?.recipient.id }),
        failure: { kind, message, policy: entry.onFailure },
      });
      after = mergeAnswer(after, entry.manifest.name, answer);
    }
    return after;
  };
  for (const stage of request.stages) {
    if (stage !== 'deliver') standing = failStage(stage, standing);
    else {
      for (const [index, { recipient }] of (request.deliveries ?? []).entries()) {
        const before = beginStage(standing.gathered, standing.envelope);
        const { verdict } = failStage(stage, before, index);
        if (verdict !== before.verdict) recipients[recipient.id] = { verdict };
      }
    }
    if (standing.ended) break;
  }
  return { verdict: standing.verdict, recipients, state: standing.gathered, trace };
}

function isDue({ manifest, shadow }: ReadyEntry, stage: HookName, { pass, state }: PipelineRequest): boolean {
  if (shadow || !manifest.hooks.includes(stage)) return false;
  if (stage === 'rcptTo' && pass !== undefined && rewritesEnvelope(manifest) !== (pass === 'rewrite'))
    return false;
  const kind = kindOf(manifest);
  return !(state.accepted && (kind === 'verify' || kind === 'score'));
}
