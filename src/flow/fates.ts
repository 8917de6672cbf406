/** What becomes of each recipient: the message hooks speak first, for all and for single ones, then each local recipient's deliver hooks. */
import type { Envelope, RecipientId } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { PipelineOutcome, PipelineRequest } from '../../core/pipeline/request.ts';
import { type DoorName, doors, type HookName } from '../../core/session/powers.ts';
import type { Verdict } from '../../core/session/verdict.ts';
import { runStages } from './hooks.ts';
import { routeOf } from './recipients.ts';
import type { Fate, Transaction } from './transaction.ts';

export type Fates = Map<RecipientId, Fate>;

export function answersPerRecipient(door: DoorName): boolean {
  return doors[door].powers.includes('refuseRecipientAfterData');
}

export async function decideFates(transaction: Transaction, source: MessageSource): Promise<Fates> {
  const raised = transaction.judged ? [] : (['headers', 'message'] as const);
  const stages = raised.filter((stage) => hasHook(transaction, stage));
  const before = transaction.envelope;
  const outcome = stages.length > 0 ? await runStages(transaction, stages, { message: source }) : undefined;
  routeAdded(transaction, before);
  const fates: Fates = new Map();
  for (const recipient of transaction.envelope.recipients) {
    fates.set(recipient.id, messageFate(transaction, outcome, recipient.id));
  }
  await runDeliver(transaction, source, fates);
  return fates;
}

/** The message stage's word on one recipient: its own verdict where there is one, else the common one. */
function messageFate(transaction: Transaction, outcome: PipelineOutcome | undefined, id: RecipientId): Fate {
  const common = outcome?.verdict;
  if (common?.action === 'reject' || common?.action === 'tempfail') return fateOf(common, 'message')!;
  if (transaction.discard !== undefined) return { kind: 'discard', reason: transaction.discard };
  const own = outcome?.recipients[id]?.verdict;
  const ownFate = own && fateOf(own, 'message');
  if (ownFate) return ownFate;
  const destination = transaction.destinations.get(id)!;
  if (destination.kind === 'refused') return refusedFate(destination.reply);
  if (transaction.state.quarantine !== undefined)
    return { kind: 'hold', reason: transaction.state.quarantine };
  return { kind: 'deliver' };
}

function refusedFate(reply: Reply): Fate {
  return reply.code < 500 ? { kind: 'defer', by: 'deliver', reply } : { kind: 'refuse', reply };
}

/** All local recipients in one hop; each answers for itself. */
async function runDeliver(transaction: Transaction, source: MessageSource, fates: Fates): Promise<void> {
  if (!hasHook(transaction, 'deliver')) return;
  const deliveries: NonNullable<PipelineRequest['deliveries']>[number][] = [];
  for (const recipient of transaction.envelope.recipients) {
    const destination = transaction.destinations.get(recipient.id);
    if (destination?.kind !== 'mailbox' || fates.get(recipient.id)!.kind !== 'deliver') continue;
    deliveries.push({ recipient, user: destination.user.address, detail: destination.detail });
  }
  if (deliveries.length === 0) return;
  const outcome = await runStages(transaction, ['deliver'], { message: source, deliveries });
  for (const { recipient } of deliveries) {
    const own = outcome.recipients[recipient.id];
    fates.set(recipient.id, deliverFate(own?.verdict ?? outcome.verdict, own?.actions));
  }
}

function deliverFate(verdict: Verdict, actions: PipelineOutcome['recipients'][string]['actions']): Fate {
  const decided = fateOf(verdict, 'deliver');
  if (decided) return decided;
  const refusal = actions?.find((action) => action.type === 'refuse');
  if (refusal) {
    return { kind: 'refuse', reply: { code: refusal.code, enhanced: refusal.enhanced, text: refusal.text } };
  }
  return { kind: 'deliver', actions };
}

/** Undefined where the verdict lets the mail through. */
function fateOf(verdict: Verdict, by: 'message' | 'deliver'): Fate | undefined {
  switch (verdict.action) {
    case 'reject':
      return {
        kind: 'refuse',
        reply: { code: verdict.code, enhanced: verdict.enhanced, text: verdict.text },
      };
    case 'tempfail':
      return {
        kind: 'defer',
        by,
        reply: { code: verdict.code, enhanced: verdict.enhanced, text: verdict.text },
      };
    case 'discard':
      return { kind: 'discard', reason: verdict.reason };
    case 'quarantine':
      return { kind: 'hold', reason: verdict.reason };
    default:
      return undefined;
  }
}

/** Recipients that a message hook added are routed now, as the operator's own wish. */
function routeAdded(transaction: Transaction, before: Envelope): void {
  if (transaction.envelope === before) return;
  for (const recipient of transaction.envelope.recipients) {
    if (transaction.destinations.has(recipient.id)) continue;
    transaction.destinations.set(recipient.id, routeOf(transaction, recipient.address, true));
  }
}

function hasHook(transaction: Transaction, hook: HookName): boolean {
  return (
    transaction.pipeline !== undefined &&
    doors[transaction.connection.door].hooks.includes(hook) &&
    transaction.house.pipelines.has(transaction.pipeline, hook)
  );
}
