/** Raising hooks of a transaction: one hop to the plugins' thread, then envelope, state and trace move on. */
import type { Reply } from '../../core/mail/reply.ts';
import type { PipelineOutcome, PipelineRequest } from '../../core/pipeline/request.ts';
import type { HookName } from '../../core/session/powers.ts';
import type { Verdict } from '../../core/session/verdict.ts';
import type { Answer } from './session.ts';
import type { Transaction } from './transaction.ts';

/** Raises a hook that comes before the message; what it says of single recipients is kept until then. */
export async function raiseInTransaction(
  transaction: Transaction,
  stage: 'mailFrom' | 'data',
): Promise<Answer> {
  const { pipelines } = transaction.house;
  if (!transaction.pipeline || !pipelines.has(transaction.pipeline, stage)) return undefined;
  const { verdict, recipients } = await runStages(transaction, [stage]);
  if (verdict.action === 'discard') transaction.discard ??= verdict.reason;
  for (const [id, own] of Object.entries(recipients)) {
    if (own.verdict) transaction.verdicts.set(id, own.verdict);
  }
  return refusalOf(verdict);
}

/** Runs stages of the transaction's pipeline in one hop; envelope, state and trace move on with the outcome. */
export async function runStages(
  transaction: Transaction,
  stages: readonly HookName[],
  extra?: Partial<PipelineRequest>,
): Promise<PipelineOutcome> {
  const outcome = await transaction.house.pipelines.run({
    pipeline: transaction.pipeline!,
    stages,
    id: transaction.id,
    connection: transaction.connection,
    session: transaction.session,
    envelope: transaction.envelope,
    state: transaction.state,
    ...extra,
  });
  transaction.state = outcome.state;
  if (outcome.envelope) transaction.envelope = outcome.envelope;
  transaction.trace.push(...outcome.trace);
  return outcome;
}

/** The reply of a verdict that refuses; the others let the client go on. */
export function refusalOf(verdict: Verdict): Reply | undefined {
  if (verdict.action !== 'reject' && verdict.action !== 'tempfail') return undefined;
  return { code: verdict.code, enhanced: verdict.enhanced, text: verdict.text };
}
