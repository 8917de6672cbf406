/** From fates to disk: quota, the rule for the answer, the plan, acceptance. What is answered here is true by then. */
import { normaliseDomain, splitAddress } from '../../core/mail/address.ts';
import type { RecipientId } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import { answersPerRecipient, type Fates } from './fates.ts';
import { makePlan } from './plan.ts';
import { releaseQuotas, reserveJunk, reserveQuotas } from './quotas.ts';
import type { SpooledMessage } from './session.ts';
import { type Outcome, type SettleInput, type Settlement, settle, settleAccepted } from './settle.ts';
import type { Transaction } from './transaction.ts';

/**
 * For mail that nobody has answered for yet. Resolves with what the client may hear; rejects when nothing was accepted.
 * @param spooled absent where the bytes belong to the queue; else released, once nothing needs them any more
 */
export async function conclude(
  transaction: Transaction,
  fates: Fates,
  source: MessageSource,
  spooled?: SpooledMessage,
): Promise<Settlement> {
  return withQuotas(transaction, fates, source, async () => {
    const { replies, outcomes } = settle(settleInput(transaction, fates));
    const due = isHeld(transaction) ? held(outcomes) : outcomes;
    await carryOn(transaction, due, source, spooled);
    return { replies, outcomes: due };
  });
}

/**
 * For mail that was answered with a yes before: undefined when all of it must wait as it did.
 * Rejects when nothing was accepted.
 */
export async function concludeAccepted(
  transaction: Transaction,
  fates: Fates,
  source: MessageSource,
): Promise<Map<RecipientId, Outcome> | undefined> {
  return withQuotas(transaction, fates, source, async () => {
    const outcomes = settleAccepted(settleInput(transaction, fates));
    const waits = [...outcomes.values()].every(({ kind }) => kind === 'wait' || kind === 'same');
    await carryOn(transaction, waits ? new Map() : outcomes, source);
    return waits ? undefined : outcomes;
  });
}

/** RFC 4865: its date is still to come. */
function isHeld({ envelope, house }: Transaction): boolean {
  return (envelope.futureRelease?.at ?? 0) > house.clock.now();
}

/** Whoever was to get it now waits in the queue; the rules of each recipient run when it is released. */
function held(outcomes: ReadonlyMap<RecipientId, Outcome>): Map<RecipientId, Outcome> {
  const until: Reply = { code: 450, enhanced: '4.3.0', text: 'held until its date' };
  return new Map(
    [...outcomes].map(([id, outcome]) => [
      id,
      outcome.kind === 'deliver' ? { kind: 'wait', reply: until } : outcome,
    ]),
  );
}

/** Quota that was set aside is given back when anything goes wrong. */
async function withQuotas<T>(
  transaction: Transaction,
  fates: Fates,
  { length }: MessageSource,
  work: () => Promise<T>,
): Promise<T> {
  try {
    await reserveQuotas(transaction, fates, length);
    return await work();
  } catch (error) {
    releaseQuotas(transaction, new Set());
    throw error;
  }
}

async function carryOn(
  transaction: Transaction,
  outcomes: Map<RecipientId, Outcome>,
  source: MessageSource,
  spooled?: SpooledMessage,
): Promise<void> {
  await reserveJunk(transaction, outcomes, source.length);
  const stored = [...outcomes].filter(([, { kind }]) => kind === 'deliver' || kind === 'junk');
  releaseQuotas(transaction, new Set(stored.map(([id]) => id)));
  const accepted = makePlan(transaction, outcomes, source);
  if (accepted) await transaction.house.accept({ accepted, source, spooled, repeated: transaction.repeated });
  else spooled?.release();
  // From here on the copies themselves give back what they hold.
  transaction.reserved.clear();
}

/** What the rule for the answer needs to know of a transaction. */
export function settleInput(transaction: Transaction, fates: Fates): SettleInput {
  return {
    id: transaction.id,
    recipients: transaction.envelope.recipients,
    fates,
    answered: transaction.answered,
    answersPerRecipient: answersPerRecipient(transaction),
    senderVerified: senderVerified(transaction) && senderReachable(transaction),
  };
}

/**
 * A DSN to this sender reaches who sent the message: authenticated, or aligned by DMARC. DMARC speaks of the From field
 * and a DSN goes to the reverse-path, so that has to be of the same domain. RFC 9989.
 */
function senderVerified({ session, connection, state, envelope }: Transaction): boolean {
  // RFC 5321 section 4.5.5: nothing is ever sent in answer to the null reverse-path.
  if (envelope.sender === '') return false;
  if (session.user !== undefined || connection.trusted) return true;
  const domain = normaliseDomain(splitAddress(envelope.sender).domain);
  return state.auth.some(({ method, result, properties }) => {
    if (method !== 'dmarc' || result !== 'pass') return false;
    const author = normaliseDomain(properties?.['header.from'] ?? '');
    return author !== '' && (isWithin(domain, author) || isWithin(author, domain));
  });
}

/** A report that no route takes would be no report. */
function senderReachable({ house, envelope }: Transaction): boolean {
  return house.router({ recipient: envelope.sender, sender: '', authenticated: true }).kind !== 'reject';
}

function isWithin(domain: string, parent: string): boolean {
  return domain === parent || (parent.includes('.') && domain.endsWith(`.${parent}`));
}
