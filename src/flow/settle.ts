/** From what became of each recipient to what the client hears and what is done: the one rule for doors with one answer and with many. */
import type { Recipient, RecipientId } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { Fate } from './transaction.ts';

/** What is carried out for one recipient after a positive answer. */
export type Outcome =
  | { readonly kind: 'deliver'; readonly fate: Fate & { kind: 'deliver' } }
  /** The `deliver` hook said tempfail and the door could not pass that on: it runs again from our queue. */
  | { readonly kind: 'wait'; readonly reply: Reply }
  /** Refused after a positive answer: the sender hears of it by DSN. */
  | { readonly kind: 'bounce'; readonly reply: Reply }
  /** Refused, but the sender may be forged: a DSN would be backscatter, so the copy goes to Junk. */
  | { readonly kind: 'junk'; readonly reply: Reply }
  | { readonly kind: 'discard'; readonly reason: string }
  | { readonly kind: 'hold'; readonly reason: string };

export interface Settlement {
  /** One per answered recipient, or exactly one. */
  readonly replies: readonly Reply[];
  /** Empty when nothing was accepted. */
  readonly outcomes: ReadonlyMap<RecipientId, Outcome>;
}

export interface SettleInput {
  readonly id: string;
  readonly recipients: readonly Recipient[];
  readonly fates: ReadonlyMap<RecipientId, Fate>;
  /** Those the client waits to hear about, in its order. */
  readonly answered: readonly RecipientId[];
  /** LMTP, PRDR: each recipient has its own answer. */
  readonly answersPerRecipient: boolean;
  /** The sender is authenticated or DMARC-aligned, so that a DSN reaches who sent this. */
  readonly senderVerified: boolean;
}

export function settle(input: SettleInput): Settlement {
  return input.answersPerRecipient ? settleEach(input) : settleTogether(input);
}

function settleEach({ id, recipients, fates, answered, senderVerified }: SettleInput): Settlement {
  const outcomes = new Map<RecipientId, Outcome>();
  const replies: Reply[] = [];
  for (const recipient of recipients) {
    const fate = fates.get(recipient.id)!;
    // Who was added by a plugin has nobody to be answered to.
    if (answered.includes(recipient.id) && isRefusal(fate)) continue;
    outcomes.set(recipient.id, outcomeOf(fate, senderVerified));
  }
  for (const recipientId of answered) {
    const fate = fates.get(recipientId);
    replies.push(
      fate && isRefusal(fate)
        ? fate.reply
        : acceptedReply(id, recipients.find((each) => each.id === recipientId)?.address),
    );
  }
  return { replies, outcomes };
}

function settleTogether({ id, recipients, fates, senderVerified }: SettleInput): Settlement {
  const all = recipients.map((recipient) => fates.get(recipient.id)!);
  const refusals = all.filter(isRefusal);
  // A tempfail of the message stage speaks for the message, not for one recipient.
  const forAll = refusals.find((fate) => fate.kind === 'defer' && fate.by === 'message');
  if (forAll) return { replies: [forAll.reply], outcomes: new Map() };
  const equal = refusals.length === all.length && refusals.every((fate) => fate.kind === refusals[0]!.kind);
  if (equal && refusals.length > 0) return { replies: [refusals[0]!.reply], outcomes: new Map() };
  const outcomes = new Map<RecipientId, Outcome>();
  for (const recipient of recipients) {
    outcomes.set(recipient.id, outcomeOf(fates.get(recipient.id)!, senderVerified));
  }
  return { replies: [acceptedReply(id)], outcomes };
}

type Refusal = Fate & { kind: 'refuse' | 'defer' };

function isRefusal(fate: Fate): fate is Refusal {
  return fate.kind === 'refuse' || fate.kind === 'defer';
}

function outcomeOf(fate: Fate, senderVerified: boolean): Outcome {
  switch (fate.kind) {
    case 'deliver':
      return { kind: 'deliver', fate };
    case 'defer':
      return { kind: 'wait', reply: fate.reply };
    case 'refuse':
      return { kind: senderVerified ? 'bounce' : 'junk', reply: fate.reply };
    default:
      return fate;
  }
}

function acceptedReply(id: string, address?: string): Reply {
  return address === undefined
    ? { code: 250, enhanced: '2.0.0', text: `Ok: queued as ${id}` }
    : { code: 250, enhanced: '2.1.5', text: `Ok: <${address}> queued as ${id}` };
}
