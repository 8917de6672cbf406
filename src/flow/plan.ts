/** The plan of one transaction: local copies first, then everything that the queue carries on. Made before the 250, carried out after it. */
import { type DsnRecipient, makeDsn } from '../../core/mail/dsn.ts';
import type { Edit } from '../../core/mail/edit.ts';
import type { Recipient, RecipientId } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { Action } from '../../core/session/plan.ts';
import type { StoreAction } from '../delivery/store.ts';
import type { QueueWork } from '../queue/queue.ts';
import { type Accepted, acceptedVersion, type RememberedKey } from './accepted.ts';
import { junk, keep } from './actions.ts';
import type { Outcome } from './settle.ts';
import { type Destination, type Transaction, waitingContext } from './transaction.ts';

/** Folder for mail that was refused too late to tell the sender. */

/**
 * Ids: an action has the transaction's id, the recipient's and its ordinal, the same whenever it is planned; a group
 * has the id of the round that planned it, so that what an entry of the queue leaves to do is never taken for itself.
 * @returns undefined when there is nothing to carry out (all refused or discarded)
 */
export function makePlan(
  transaction: Transaction,
  outcomes: ReadonlyMap<RecipientId, Outcome>,
  source: MessageSource,
): Accepted | undefined {
  const draft: Draft = {
    transaction,
    stores: [],
    queue: [],
    remembered: [],
    waiting: [],
    bounced: [],
    held: new Map(),
  };
  for (const recipient of transaction.envelope.recipients) {
    const outcome = outcomes.get(recipient.id);
    // Of two addresses that share a copy the sender used both, and hears of both.
    const shared = outcome?.kind === 'same' ? outcomes.get(outcome.as) : undefined;
    if (outcome) planRecipient(draft, recipient, shared?.kind === 'bounce' ? shared : outcome);
  }
  planGroups(draft, source);
  if (draft.stores.length + draft.queue.length + draft.remembered.length === 0) return undefined;
  return {
    version: acceptedVersion,
    id: transaction.id,
    acceptedAt: transaction.house.clock.now(),
    envelope: transaction.envelope,
    edits: transaction.state.edits,
    stores: draft.stores,
    queue: draft.queue,
    ...(draft.remembered.length > 0 && { remembered: draft.remembered }),
  };
}

interface Draft {
  readonly transaction: Transaction;
  readonly stores: StoreAction[];
  readonly queue: { id: string; work: QueueWork }[];
  readonly remembered: RememberedKey[];
  /** Recipients that wait for their deliver hook, those to report on, and those held, by reason: one entry a group. */
  readonly waiting: Recipient[];
  readonly bounced: DsnRecipient[];
  readonly held: Map<string, Recipient[]>;
}

function planRecipient(draft: Draft, recipient: Recipient, outcome: Outcome): void {
  switch (outcome.kind) {
    case 'deliver':
      planDelivery(draft, recipient, outcome.fate.actions ?? []);
      return;
    case 'junk':
      planJunk(draft, recipient, outcome.reply);
      return;
    case 'bounce':
      if (!wantsFailure(recipient)) return;
      if (outcome.notification) {
        draft.queue.push({
          id: `${draft.transaction.id}/${recipient.id}/refused`,
          work: {
            kind: 'submit',
            sender: '',
            recipients: [draft.transaction.envelope.sender],
            message: octets(outcome.notification),
          },
        });
        return;
      }
      draft.bounced.push({ recipient, action: 'failed', reply: outcome.reply });
      return;
    case 'wait':
      draft.waiting.push(recipient);
      return;
    case 'hold':
      hold(draft, recipient, outcome.reason);
      return;
    case 'same':
    case 'discard':
      return;
  }
}

/** RFC 3461 section 4.1: NOTIFY names what is reported; without it that is failure. */
export function wantsFailure({ notify }: Recipient): boolean {
  return notify.length === 0 || notify.includes('failure');
}

function planDelivery(draft: Draft, recipient: Recipient, actions: readonly Action[]): void {
  const { transaction } = draft;
  const destination = transaction.destinations.get(recipient.id)!;
  const edits = transaction.state.recipientEdits[recipient.id] ?? [];
  switch (destination.kind) {
    case 'relay': {
      const id = `${transaction.id}/${recipient.id}/0`;
      draft.queue.push({ id, work: { kind: 'relay', via: destination.via, recipients: [recipient], edits } });
      return;
    }
    case 'mailbox':
      for (const [ordinal, action] of actions.entries()) {
        planAction(draft, recipient, destination, action, ordinal, edits);
      }
      return;
    default:
      throw new Error(`recipient ${recipient.id} is to be delivered and leads to ${destination.kind}`);
  }
}

/** Who has no mailbox here has no Junk either: the mail is held, for it was answered with a yes. */
function planJunk(draft: Draft, recipient: Recipient, reply: Reply): void {
  const { destinations } = draft.transaction;
  if (destinations.get(recipient.id)?.kind === 'mailbox') {
    planDelivery(draft, recipient, [junk]);
  } else {
    hold(draft, recipient, `refused: ${reply.code} ${reply.enhanced ?? ''} ${reply.text}`);
  }
}

function hold({ held }: Draft, recipient: Recipient, reason: string): void {
  held.set(reason, [...(held.get(reason) ?? []), recipient]);
}

function planAction(
  { transaction, stores, queue, remembered }: Draft,
  recipient: Recipient,
  destination: Destination & { kind: 'mailbox' },
  action: Action,
  ordinal: number,
  recipientEdits: readonly Edit[],
): void {
  const id = `${transaction.id}/${recipient.id}/${ordinal}`;
  switch (action.type) {
    case 'store':
      if (action.message) {
        const store = storeAction(transaction, id, recipient, destination, action, []);
        queue.push({ id, work: { kind: 'store', store, message: octets(action.message) } });
      } else stores.push(storeAction(transaction, id, recipient, destination, action, recipientEdits));
      return;
    case 'redirect': {
      const { sender } = transaction.envelope;
      const edits = [...recipientEdits, ...(action.edits ?? []), deliveredTo(recipient)];
      const { notify, ret, envid, deliverBy } = action;
      const dsn = {
        ...{ ...(notify && { notify }), ...(ret && { ret }), ...(envid !== undefined && { envid }) },
        ...(deliverBy && { deliverBy }),
      };
      const wishes = Object.keys(dsn).length > 0 ? { dsn } : {};
      queue.push({ id, work: { kind: 'submit', sender, recipients: [action.address], edits, ...wishes } });
      return;
    }
    case 'run': {
      const edits = [...recipientEdits, ...(action.edits ?? [])];
      const kept =
        action.ofSite?.onFailure === 'keep' &&
        storeAction(transaction, id, recipient, destination, keep, recipientEdits);
      const { argv } = action;
      queue.push({
        id,
        work: { kind: 'run', argv, recipients: [recipient], edits, ...(kept && { keep: kept }) },
      });
      return;
    }
    case 'reply': {
      const { sender, recipients, once } = action;
      const message = octets(action.message);
      queue.push({ id, work: { kind: 'submit', sender, recipients, message, ...(once && { once }) } });
      return;
    }
    case 'remember': {
      const { key, seconds, plugin = '' } = action;
      remembered.push({ id, plugin, key, seconds });
      return;
    }
    case 'discard':
    case 'refuse':
      return;
    // The place of an implicit keep is a store by now.
    case 'keepIn':
    case 'notify':
      throw new Error(`${action.type} should have been refused before the plan`);
  }
}

/** How a loop of redirects is known again. RFC 9228. */
function deliveredTo({ address }: Recipient): Edit {
  return { type: 'insertHeader', index: 0, name: 'Delivered-To', value: address };
}

function storeAction(
  transaction: Transaction,
  id: string,
  recipient: Recipient,
  { user, path }: Destination & { kind: 'mailbox' },
  action: Action & { type: 'store' },
  recipientEdits: readonly Edit[],
): StoreAction {
  const { config, clock } = transaction.house;
  const reserved = transaction.reserved.get(recipient.id);
  return {
    id,
    user: user.address,
    format: config.mailbox.format,
    path,
    folder: action.mailbox,
    create: action.create ?? false,
    flags: action.flags ?? [],
    internalDate: action.internalDate ?? clock.now(),
    name: copyName(transaction, id),
    sender: transaction.envelope.sender,
    deliveredTo: recipient.address,
    edits: [...recipientEdits, ...(action.edits ?? [])],
    ...(reserved && { reservedOctets: reserved.octets }),
  };
}

/** The same for every attempt at the same action, so that a copy which is there already is known again. */
function copyName({ startedAt, house }: Transaction, actionId: string): string {
  const host = house.config.hostname.replace(/[^0-9A-Za-z.-]/g, '_');
  return `${Math.floor(startedAt / 1000)}.${actionId.replaceAll('/', '_')}.${host}`;
}

function planGroups(draft: Draft, source: MessageSource): void {
  const { transaction, waiting, bounced, held, queue } = draft;
  const { planId } = transaction;
  if (bounced.length > 0) queue.push({ id: `${planId}/dsn`, work: report(transaction, bounced, source) });
  const context = waitingContext(transaction);
  if (waiting.length > 0) {
    queue.push({ id: `${planId}/deliver`, work: { kind: 'deliver', recipients: waiting, context } });
  }
  for (const [ordinal, [reason, recipients]] of [...held].entries()) {
    queue.push({ id: `${planId}/held/${ordinal}`, work: { kind: 'held', reason, recipients, context } });
  }
}

/** One report on all recipients, from the null reverse-path. RFC 3464, RFC 5321 section 4.5.5. */
function report(
  { house, startedAt, envelope, state }: Transaction,
  recipients: readonly DsnRecipient[],
  source: MessageSource,
): QueueWork {
  const message = makeDsn({
    reportingMta: house.config.hostname,
    arrivedAt: startedAt,
    now: house.clock.now(),
    envelope,
    source,
    edits: state.edits,
    recipients,
  });
  return { kind: 'submit', sender: '', recipients: [envelope.sender], message: octets(message) };
}

function octets(message: Uint8Array): string {
  return Buffer.from(message.buffer, message.byteOffset, message.byteLength).toString('latin1');
}
