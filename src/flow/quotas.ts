/**
 * Quota is set aside before the 250, counting what is planned and not yet stored. What a planned copy holds stands on
 * its store action, and goes back when the copy is stored or deferred; what is not planned goes back here.
 */
import { describeError } from '../../core/base/errors.ts';
import type { RecipientId } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { Outcome } from './settle.ts';
import type { Destination, Fate, Transaction } from './transaction.ts';

/** Trace fields that delivery adds: Return-Path, Delivered-To, Received. */
const addedOctets = 1024;

/** The answer to RCPT when the message, as large as the client declared it, does not fit. RFC 1870 section 6.1. */
export async function quotaRefusal(
  transaction: Transaction,
  destinations: readonly Destination[],
): Promise<Reply | undefined> {
  const octets = (transaction.envelope.declaredSizeBytes ?? 0) + addedOctets;
  for (const destination of destinations) {
    if (destination.kind !== 'mailbox') continue;
    const reserved = await reserve(transaction, destination, octets);
    if (typeof reserved === 'object') return reserved;
    if (reserved === 'reserved') transaction.house.releaseQuota(destination.user.address, octets);
  }
  return undefined;
}

/** A recipient whose mailbox has no room is deferred: 452 where the client can hear it, our queue where not. */
export async function reserveQuotas(
  transaction: Transaction,
  fates: Map<RecipientId, Fate>,
  length: number,
): Promise<void> {
  for (const { id } of transaction.envelope.recipients) {
    const fate = fates.get(id)!;
    if (fate.kind !== 'deliver') continue;
    const copies = fate.actions?.filter((action) => action.type === 'store').length ?? 1;
    const reply = await whyNoRoom(transaction, id, length, copies);
    if (reply) fates.set(id, { kind: 'defer', by: 'deliver', reply });
  }
}

/** A copy for Junk that does not fit is held: it was answered for, and no sender can be told. */
export async function reserveJunk(
  transaction: Transaction,
  outcomes: Map<RecipientId, Outcome>,
  length: number,
): Promise<void> {
  for (const [id, outcome] of outcomes) {
    if (outcome.kind !== 'junk') continue;
    const reply = await whyNoRoom(transaction, id, length, 1);
    if (reply) outcomes.set(id, { kind: 'hold', reason: `refused, and no room for Junk: ${reply.text}` });
  }
}

/** Gives back what is set aside, but for the recipients in `planned`: their copies give it back. */
export function releaseQuotas(transaction: Transaction, planned: ReadonlySet<RecipientId>): void {
  for (const [id, { user, octets, copies }] of transaction.reserved) {
    if (planned.has(id)) continue;
    transaction.house.releaseQuota(user, octets * copies);
    transaction.reserved.delete(id);
  }
}

/** RFC 3463: X.2.2 mailbox full, X.2.0 other mailbox status. */
const mailboxFull: Reply = { code: 452, enhanced: '4.2.2', text: 'mailbox full' };
const mailboxUncounted: Reply = { code: 451, enhanced: '4.2.0', text: 'mailbox cannot be reached now' };

/** Undefined once the copies have their room. */
async function whyNoRoom(
  transaction: Transaction,
  id: RecipientId,
  length: number,
  copies: number,
): Promise<Reply | undefined> {
  const destination = transaction.destinations.get(id)!;
  if (destination.kind !== 'mailbox' || copies === 0) return undefined;
  const octets = length + addedOctets;
  const reserved = await reserve(transaction, destination, octets * copies);
  if (typeof reserved === 'object') return reserved;
  if (reserved === 'reserved') {
    transaction.reserved.set(id, { user: destination.user.address, octets, copies });
  }
  return undefined;
}

async function reserve(
  { house }: Transaction,
  { user, path }: Destination & { kind: 'mailbox' },
  octets: number,
): Promise<'reserved' | 'no limit' | Reply> {
  const quotaBytes = user.quotaBytes || house.config.mailbox.quotaBytes;
  if (quotaBytes === 0) return 'no limit';
  try {
    const fits = await house.reserveQuota(user.address, path, quotaBytes, octets);
    return fits ? 'reserved' : mailboxFull;
  } catch (error) {
    // One mailbox that cannot be counted is not the trouble of the other recipients.
    house.log.error('quota-unknown', { user: user.address, error: describeError(error) });
    return mailboxUncounted;
  }
}
