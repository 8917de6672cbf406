/** What sender and recipient edits of a rcptTo hook mean for the recipient being asked about. */
import { compareForm } from '../mail/address.ts';
import type { Edit } from '../mail/edit.ts';
import type { Recipient } from '../mail/envelope.ts';
import type { Verdict } from './verdict.ts';

/** The recipient of RCPT, as rewritten so far, and what it was expanded into besides. */
export interface PendingRecipient {
  readonly recipient: Recipient;
  readonly added: readonly string[];
}

export interface RewrittenRecipient {
  readonly pending: PendingRecipient;
  /** Edits that concern the rest of the envelope. */
  readonly others: readonly Edit[];
  /** Set when every target was taken off: the recipient is accepted and leads nowhere. */
  readonly verdict?: Verdict;
}

/**
 * `deleteRecipient` of the pending address and `addRecipient` of its targets, in order: the first target takes the
 * recipient's place (id, original and DSN parameters stay), the others are added.
 */
export function rewriteRecipient(pending: PendingRecipient, edits: readonly Edit[]): RewrittenRecipient {
  // By their form for comparing, in order: a list may have thousands.
  const targets = new Map<string, string>();
  for (const address of [pending.recipient.address, ...pending.added])
    targets.set(compareForm(address), address);
  const others: Edit[] = [];
  for (const edit of edits) {
    if (edit.type === 'addRecipient') {
      const form = compareForm(edit.address);
      if (!targets.has(form)) targets.set(form, edit.address);
    } else if (edit.type !== 'deleteRecipient' || !targets.delete(compareForm(edit.address))) {
      others.push(edit);
    }
  }
  const [first, ...added] = targets.values();
  if (first === undefined) {
    const reason = `every target of ${pending.recipient.address} was taken off`;
    return { pending: { ...pending, added: [] }, others, verdict: { action: 'discard', reason } };
  }
  const recipient =
    first === pending.recipient.address ? pending.recipient : { ...pending.recipient, address: first };
  return { pending: { recipient, added }, others };
}
