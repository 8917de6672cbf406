/** What becomes of each recipient: the message hooks speak first, for all and for single ones, then each local recipient's deliver hooks. */
import { compareForm } from '../../core/mail/address.ts';
import type { RecipientId } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { PipelineOutcome, PipelineRequest } from '../../core/pipeline/request.ts';
import { mergeVerdict } from '../../core/session/merge.ts';
import { doors, type HookName } from '../../core/session/powers.ts';
import type { Verdict } from '../../core/session/verdict.ts';
import { localActions, whyImpossible } from './actions.ts';
import { runStages } from './hooks.ts';
import { routeOf } from './recipients.ts';
import { stampResults } from './stamp.ts';
import type { Fate, Transaction } from './transaction.ts';

export type Fates = Map<RecipientId, Fate>;

export function answersPerRecipient({ connection, keeper, prdr }: Transaction): boolean {
  if (keeper !== undefined) return keeper.answersPerRecipient;
  return prdr || doors[connection.door].powers.includes('refuseRecipientAfterData');
}

export async function decideFates(transaction: Transaction, source: MessageSource): Promise<Fates> {
  const raised = transaction.judged ? [] : (['headers', 'message'] as const);
  const stages = raised.filter((stage) => hasHook(transaction, stage));
  const outcome = stages.length > 0 ? await runStages(transaction, stages, { message: source }) : undefined;
  if (!transaction.judged) stampResults(transaction);
  routeAdded(transaction);
  const fates: Fates = new Map();
  for (const { id } of transaction.envelope.recipients) {
    fates.set(id, messageFate(transaction, outcome, id));
  }
  shareMailboxes(transaction, fates);
  transaction.stateBeforeDeliver = transaction.state;
  await runDeliver(transaction, source, fates);
  chooseActions(transaction, source, fates);
  return fates;
}

/** The word on one recipient before its own rules: its own verdict where there is one, else the common one. */
function messageFate(transaction: Transaction, outcome: PipelineOutcome | undefined, id: RecipientId): Fate {
  const common = outcome?.verdict;
  if (common?.action === 'reject' || common?.action === 'tempfail') return fateOf(common, 'message')!;
  if (transaction.discard !== undefined) return { kind: 'discard', reason: transaction.discard };
  const ownFate = fateOf(ownVerdict(transaction, outcome, id), 'message');
  if (ownFate) return ownFate;
  if (common?.action === 'discard') return { kind: 'discard', reason: common.reason };
  const destination = transaction.destinations.get(id)!;
  if (destination.kind === 'refused') return refusedFate(destination.reply);
  if (destination.kind === 'nowhere') return { kind: 'discard', reason: destination.reason };
  if (transaction.state.quarantine !== undefined)
    return { kind: 'hold', reason: transaction.state.quarantine };
  return { kind: 'deliver' };
}

const proceed: Verdict = { action: 'continue' };

function ownVerdict(
  { verdicts }: Transaction,
  outcome: PipelineOutcome | undefined,
  id: RecipientId,
): Verdict {
  return mergeVerdict(verdicts.get(id) ?? proceed, outcome?.recipients[id]?.verdict ?? proceed);
}

/** Two addresses of one mailbox, or one address named twice, get one copy; unless the message differs for them. */
function shareMailboxes({ envelope, destinations, state }: Transaction, fates: Fates): void {
  const first = new Map<string, RecipientId>();
  for (const { id, address } of envelope.recipients) {
    if (fates.get(id)!.kind !== 'deliver' || (state.recipientEdits[id]?.length ?? 0) > 0) continue;
    const destination = destinations.get(id)!;
    const place =
      destination.kind === 'mailbox'
        ? `${destination.user.address} ${destination.detail}`
        : `${compareForm(address)} by ${destination.kind}`;
    const as = first.get(place);
    if (as === undefined) first.set(place, id);
    else fates.set(id, { kind: 'same', as });
  }
}

/** All local recipients in one hop; each answers for itself. */
async function runDeliver(transaction: Transaction, source: MessageSource, fates: Fates): Promise<void> {
  const pipeline = deliverPipeline(transaction);
  if (pipeline === undefined) return;
  const deliveries: NonNullable<PipelineRequest['deliveries']>[number][] = [];
  for (const recipient of transaction.envelope.recipients) {
    const destination = transaction.destinations.get(recipient.id);
    if (destination?.kind !== 'mailbox' || fates.get(recipient.id)!.kind !== 'deliver') continue;
    const { user, detail } = destination;
    deliveries.push({ recipient, user: user.address, detail, addresses: [user.address, ...user.aliases] });
  }
  if (deliveries.length === 0) return;
  const outcome = await runStages(transaction, ['deliver'], { pipeline, message: source, deliveries });
  for (const { recipient } of deliveries) {
    const own = outcome.recipients[recipient.id];
    fates.set(recipient.id, deliverFate(own?.verdict ?? outcome.verdict, own?.actions));
  }
}

function deliverFate(verdict: Verdict, actions: PipelineOutcome['recipients'][RecipientId]['actions']): Fate {
  const decided = fateOf(verdict, 'deliver');
  if (decided) return decided;
  const refusal = actions?.find((action) => action.type === 'refuse');
  if (!refusal) return { kind: 'deliver', actions };
  const { code, enhanced, text, notification } = refusal;
  return refusedFate({ code, enhanced, text }, notification);
}

/** What cannot be done is found out now, when the client can still hear of it, and never counts as done. */
function chooseActions(transaction: Transaction, source: MessageSource, fates: Fates): void {
  const { house, id, envelope, destinations } = transaction;
  for (const recipient of envelope.recipients) {
    const fate = fates.get(recipient.id)!;
    const destination = destinations.get(recipient.id)!;
    if (fate.kind !== 'deliver' || destination.kind !== 'mailbox') continue;
    const problem = whyImpossible(transaction, fate.actions);
    if (problem) {
      house.log.error('impossible-action', { id, recipient: recipient.address, problem });
      fates.set(recipient.id, { kind: 'defer', by: 'deliver', reply: misconfigured });
    } else {
      const actions = localActions(transaction, recipient, destination, fate.actions, source);
      fates.set(recipient.id, { kind: 'deliver', actions });
    }
  }
}

/** RFC 3463: X.3.5, system incorrectly configured. */
const misconfigured: Reply = { code: 451, enhanced: '4.3.5', text: 'server is misconfigured' };

function refusedFate(reply: Reply, notification?: Uint8Array): Fate {
  if (reply.code < 500) return { kind: 'defer', by: 'deliver', reply };
  return { kind: 'refuse', reply, ...(notification && { notification }) };
}

/** Undefined where the verdict lets the mail through. */
function fateOf(verdict: Verdict, by: 'message' | 'deliver'): Fate | undefined {
  switch (verdict.action) {
    case 'reject': {
      const { code, enhanced, text } = verdict;
      return { kind: 'refuse', reply: { code, enhanced, text } };
    }
    case 'tempfail': {
      const { code, enhanced, text } = verdict;
      return { kind: 'defer', by, reply: { code, enhanced, text } };
    }
    case 'discard':
      return { kind: 'discard', reason: verdict.reason };
    case 'quarantine':
      return { kind: 'hold', reason: verdict.reason };
    default:
      return undefined;
  }
}

/** Recipients that a hook added after RCPT are routed now, as the operator's own wish. */
function routeAdded(transaction: Transaction): void {
  for (const { id, address } of transaction.envelope.recipients) {
    if (transaction.destinations.has(id)) continue;
    transaction.destinations.set(id, routeOf(transaction, address, true));
  }
}

/**
 * Rules belong to the mailbox, not to the way the mail came: mail that a user submits to another meets the other's rules
 * too, and so does what this host sends itself.
 */
function deliverPipeline({ pipeline, connection, house }: Transaction): string | undefined {
  if (!doors[connection.door].hooks.includes('deliver')) return undefined;
  const { mailbox } = house.config;
  const candidates = mailbox.pipeline === undefined ? [pipeline, inboundPipeline] : [mailbox.pipeline];
  return candidates.find((name) => name !== undefined && house.pipelines.has(name, 'deliver'));
}

/** The name that the bundled configs use for what takes in mail from outside. */
const inboundPipeline = 'inbound';

function hasHook({ pipeline, connection, house }: Transaction, hook: HookName): boolean {
  if (pipeline === undefined || !doors[connection.door].hooks.includes(hook)) return false;
  return house.pipelines.has(pipeline, hook);
}
