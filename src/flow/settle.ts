/** From what became of each recipient to what the client hears and what is done: the one rule for doors with one answer and with many. */
import type { Recipient, RecipientId } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { Fate } from './transaction.ts';

/** What is carried out for one recipient after a positive answer. */
export type Outcome =
  | { readonly kind: 'deliver'; readonly fate: Fate & { kind: 'deliver' } }
  /** The `deliver` hook said tempfail and the door could not pass that on: it runs again from our queue. */
  | { readonly kind: 'wait'; readonly reply: Reply }
  /** Refused after a positive answer: the sender hears of it by DSN, or by what the rules have written. */
  | { readonly kind: 'bounce'; readonly reply: Reply; readonly notification?: Uint8Array }
  /** Refused, but the sender may be forged: a DSN would be backscatter, so the copy goes to Junk. */
  | { readonly kind: 'junk'; readonly reply: Reply }
  /** The copy of that other recipient is this one's too. */
  | { readonly kind: 'same'; readonly as: RecipientId }
  | { readonly kind: 'discard'; readonly reason: string }
  | { readonly kind: 'hold'; readonly reason: string };

export interface Settlement {
  /** One per answered RCPT, or exactly one. */
  readonly replies: readonly Reply[];
  /** Empty when nothing was accepted. */
  readonly outcomes: Map<RecipientId, Outcome>;
}

export interface SettleInput {
  readonly id: string;
  readonly recipients: readonly Recipient[];
  readonly fates: ReadonlyMap<RecipientId, Fate>;
  /** For each RCPT that was accepted, in order, the recipients it became. */
  readonly answered: readonly (readonly RecipientId[])[];
  /** LMTP, PRDR: each RCPT has its own answer. */
  readonly answersPerRecipient: boolean;
  /** The sender is authenticated or DMARC-aligned, so that a DSN reaches who sent this. */
  readonly senderVerified: boolean;
}

export function settle(input: SettleInput): Settlement {
  if (!input.answersPerRecipient) {
    const { reply, outcomes } = settleTogether(input, input.recipients, acceptedReply(input.id));
    return { replies: [reply], outcomes };
  }
  return settleEach(input);
}

/** For mail that was answered with a yes before: a refusal is carried out, and what is deferred waits on. */
export function settleAccepted({
  recipients,
  fates,
  senderVerified,
}: SettleInput): Map<RecipientId, Outcome> {
  return new Map(recipients.map(({ id }) => [id, outcomeOf(fates.get(id)!, senderVerified)]));
}

/** What one RCPT was expanded into has one answer, as all recipients have where there is only one. */
function settleEach(input: SettleInput): Settlement {
  const byId = new Map(input.recipients.map((recipient) => [recipient.id, recipient]));
  const replies: Reply[] = [];
  const outcomes = new Map<RecipientId, Outcome>();
  for (const ids of input.answered) {
    const group = ids.flatMap((id) => byId.get(id) ?? []);
    for (const id of ids) byId.delete(id);
    const settled = settleTogether(input, group, acceptedReply(input.id, group[0]?.original));
    replies.push(settled.reply);
    for (const [id, outcome] of settled.outcomes) outcomes.set(id, outcome);
  }
  // Who sends all of it again must not find that a part was kept.
  if (replies.every(({ code }) => code >= 400)) return { replies, outcomes: new Map() };
  // Who was added by a plugin has nobody to be answered to.
  for (const id of byId.keys()) outcomes.set(id, outcomeOf(input.fates.get(id)!, input.senderVerified));
  replaceMissing(input, outcomes);
  return { replies, outcomes };
}

/** Who counted on the copy of one whose RCPT was turned away steps into its place, since nothing is carried out for that one. */
function replaceMissing({ fates, senderVerified }: SettleInput, outcomes: Map<RecipientId, Outcome>): void {
  const replacements = new Map<RecipientId, RecipientId>();
  for (const [id, outcome] of outcomes) {
    if (outcome.kind !== 'same' || outcomes.has(outcome.as)) continue;
    const replacement = replacements.get(outcome.as);
    if (replacement !== undefined) {
      outcomes.set(id, { kind: 'same', as: replacement });
      continue;
    }
    replacements.set(outcome.as, id);
    const fate = fates.get(outcome.as)!;
    // What the other's rules decided, and its quota, are not this one's: its own rules run from the queue.
    outcomes.set(
      id,
      fate.kind === 'deliver' ? { kind: 'wait', reply: notYet } : outcomeOf(fate, senderVerified),
    );
  }
}

/** RFC 3463: X.3.0, other mail system status. */
const notYet: Reply = { code: 451, enhanced: '4.3.0', text: 'not delivered yet' };

function settleTogether(
  { fates, senderVerified }: SettleInput,
  recipients: readonly Recipient[],
  accepted: Reply,
): { reply: Reply; outcomes: Map<RecipientId, Outcome> } {
  const refusals = recipients.map(({ id }) => sharedFate(fates, id)).filter(isRefusal);
  // A tempfail of the message stage speaks for the message, not for one recipient.
  const forAll = refusals.find((fate) => fate.kind === 'defer' && fate.by === 'message');
  const equal =
    refusals.length === recipients.length && refusals.every((fate) => fate.kind === refusals[0]!.kind);
  const refusal = forAll ?? (equal ? refusals[0] : undefined);
  if (refusal) return { reply: refusal.reply, outcomes: new Map() };
  const outcomes = new Map(
    recipients.map(({ id }): [RecipientId, Outcome] => [id, outcomeOf(fates.get(id)!, senderVerified)]),
  );
  return { reply: accepted, outcomes };
}

type Refusal = Fate & { kind: 'refuse' | 'defer' };

function isRefusal(fate: Fate): fate is Refusal {
  return fate.kind === 'refuse' || fate.kind === 'defer';
}

function sharedFate(fates: ReadonlyMap<RecipientId, Fate>, id: RecipientId): Fate {
  const fate = fates.get(id)!;
  return fate.kind === 'same' ? fates.get(fate.as)! : fate;
}

function outcomeOf(fate: Fate, senderVerified: boolean): Outcome {
  switch (fate.kind) {
    case 'deliver':
      return { kind: 'deliver', fate };
    case 'defer':
      return { kind: 'wait', reply: fate.reply };
    case 'refuse': {
      const { reply, notification } = fate;
      if (!senderVerified) return { kind: 'junk', reply };
      return { kind: 'bounce', reply, ...(notification && { notification }) };
    }
    default:
      return fate;
  }
}

function acceptedReply(id: string, address?: string): Reply {
  return address === undefined
    ? { code: 250, enhanced: '2.0.0', text: `Ok: queued as ${id}` }
    : { code: 250, enhanced: '2.1.5', text: `Ok: <${address}> queued as ${id}` };
}
