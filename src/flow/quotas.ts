/** Quota is set aside before the 250, counting what is planned and not yet stored, and given back when a copy is stored or given up. */
import type { RecipientId } from '../../core/mail/envelope.ts';
import { mailboxPath } from '../mailbox/locate.ts';
import type { Fate, Transaction } from './transaction.ts';

/** Trace fields that delivery adds: Return-Path, Delivered-To, Received. */
const addedOctets = 1024;

/** A recipient whose mailbox has no room is deferred: 452 where the client can hear it, our queue where not. */
export async function reserveQuotas(
  transaction: Transaction,
  fates: Map<RecipientId, Fate>,
  length: number,
): Promise<void> {
  const { house, envelope, destinations } = transaction;
  for (const recipient of envelope.recipients) {
    const destination = destinations.get(recipient.id);
    const fate = fates.get(recipient.id)!;
    if (destination?.kind !== 'mailbox' || fate.kind !== 'deliver') continue;
    const { user } = destination;
    const quotaBytes = user.quotaBytes || house.config.mailbox.quotaBytes;
    if (quotaBytes === 0) continue;
    const copies = fate.actions?.filter((action) => action.type === 'store').length ?? 1;
    const octets = copies * (length + addedOctets);
    const path = mailboxPath(house.config.mailbox.path, user.address);
    if (await house.reserveQuota(user.address, path, quotaBytes, octets)) {
      transaction.reserved.set(user.address, (transaction.reserved.get(user.address) ?? 0) + octets);
      continue;
    }
    const reply = { code: 452, enhanced: '4.2.2', text: `mailbox full: <${recipient.address}>` };
    fates.set(recipient.id, { kind: 'defer', by: 'deliver', reply });
  }
}

/** Gives back what a transaction set aside and will not store. */
export function releaseQuotas({ house, reserved }: Transaction): void {
  for (const [user, octets] of reserved) house.releaseQuota(user, octets);
  reserved.clear();
}
