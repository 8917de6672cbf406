/** The plan of one transaction: local copies first, then everything that the queue carries on. Made before the 250, carried out after it. */
import { makeDsn } from '../../core/mail/dsn.ts';
import type { Edit } from '../../core/mail/edit.ts';
import type { Recipient, RecipientId } from '../../core/mail/envelope.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { Action } from '../../core/session/plan.ts';
import type { StoreAction } from '../delivery/store.ts';
import { mailboxPath } from '../mailbox/locate.ts';
import type { QueueWork } from '../queue/queue.ts';
import { type Accepted, acceptedVersion } from './accepted.ts';
import type { Outcome } from './settle.ts';
import { type Destination, type Transaction, waitingContext } from './transaction.ts';

/** Folder for mail that was refused too late to tell the sender. */
const junkFolder = 'Junk';

/** Undefined when there is nothing to carry out (all refused or discarded). */
export function makePlan(
  transaction: Transaction,
  outcomes: ReadonlyMap<RecipientId, Outcome>,
  source: MessageSource,
): Accepted | undefined {
  const draft: Draft = {
    transaction,
    source,
    stores: [],
    queue: [],
    waiting: [],
    held: new Map(),
    seen: new Set(),
  };
  for (const recipient of transaction.envelope.recipients) {
    const outcome = outcomes.get(recipient.id);
    if (outcome) planRecipient(draft, recipient, outcome);
  }
  planGroups(draft);
  if (draft.stores.length === 0 && draft.queue.length === 0) return undefined;
  return {
    version: acceptedVersion,
    id: transaction.id,
    acceptedAt: transaction.house.clock.now(),
    envelope: transaction.envelope,
    edits: transaction.state.edits,
    stores: draft.stores,
    queue: draft.queue,
  };
}

interface Draft {
  readonly transaction: Transaction;
  readonly source: MessageSource;
  readonly stores: StoreAction[];
  readonly queue: { id: string; work: QueueWork }[];
  /** Recipients that wait for their deliver hook, and those held, by reason: one queue entry a group. */
  readonly waiting: Recipient[];
  readonly held: Map<string, Recipient[]>;
  /** Mailboxes that have their copy: an address named twice, or by two aliases, gets one. */
  readonly seen: Set<string>;
}

function planRecipient(draft: Draft, recipient: Recipient, outcome: Outcome): void {
  const destination = draft.transaction.destinations.get(recipient.id);
  switch (outcome.kind) {
    case 'deliver':
      return planDelivery(draft, recipient, destination!, outcome.fate.actions ?? [implicitKeep]);
    case 'junk':
      if (destination?.kind !== 'mailbox') return;
      return planDelivery(draft, recipient, destination, [
        { type: 'store', mailbox: junkFolder, create: true },
      ]);
    case 'bounce':
      return planBounce(draft, recipient, outcome.reply);
    case 'wait':
      draft.waiting.push(recipient);
      return;
    case 'hold':
      draft.held.set(outcome.reason, [...(draft.held.get(outcome.reason) ?? []), recipient]);
      return;
    case 'discard':
      return;
  }
}

const implicitKeep: Action = { type: 'store', mailbox: 'INBOX' };

function planDelivery(
  draft: Draft,
  recipient: Recipient,
  destination: Destination,
  actions: readonly Action[],
): void {
  const edits = draft.transaction.state.recipientEdits[recipient.id] ?? [];
  if (destination.kind === 'refused') return;
  if (destination.kind === 'relay') {
    const id = `${draft.transaction.id}/${recipient.id}/0`;
    draft.queue.push({ id, work: { kind: 'relay', via: destination.via, recipients: [recipient], edits } });
    return;
  }
  const plain = actions.length === 1 && actions[0] === implicitKeep;
  const once = `${destination.user.address} ${destination.detail}`;
  if (plain && edits.length === 0 && draft.seen.has(once)) return;
  if (plain) draft.seen.add(once);
  actions.forEach((action, ordinal) => {
    planAction(draft, recipient, destination, action, ordinal, edits);
  });
}

function planAction(
  draft: Draft,
  recipient: Recipient,
  destination: Destination & { kind: 'mailbox' },
  action: Action,
  ordinal: number,
  recipientEdits: readonly Edit[],
): void {
  const id = `${draft.transaction.id}/${recipient.id}/${ordinal}`;
  switch (action.type) {
    case 'store':
      draft.stores.push(storeAction(draft, id, recipient, destination, action, recipientEdits));
      return;
    case 'redirect':
      draft.queue.push({
        id,
        work: {
          kind: 'submit',
          sender: draft.transaction.envelope.sender,
          recipients: [action.address],
          edits: [...recipientEdits, ...(action.edits ?? [])],
        },
      });
      return;
    case 'reply':
      draft.queue.push({
        id,
        work: {
          kind: 'submit',
          sender: action.sender,
          recipients: action.recipients,
          message: Buffer.from(action.message).toString('latin1'),
        },
      });
      return;
    case 'discard':
    case 'refuse':
      return;
    case 'notify':
    case 'run':
      throw new Error(`no transport for the ${action.type} action`);
  }
}

function storeAction(
  { transaction }: Draft,
  id: string,
  recipient: Recipient,
  destination: Destination & { kind: 'mailbox' },
  action: Action & { type: 'store' },
  recipientEdits: readonly Edit[],
): StoreAction {
  const { config, clock } = transaction.house;
  return {
    id,
    user: destination.user.address,
    format: action.format === 'mbox' || action.format === 'maildir' ? action.format : config.mailbox.format,
    path: mailboxPath(config.mailbox.path, destination.user.address),
    folder: action.mailbox,
    create: action.create ?? false,
    flags: action.flags ?? [],
    internalDate: action.internalDate ?? clock.now(),
    name: copyName(transaction, id),
    sender: transaction.envelope.sender,
    deliveredTo: recipient.address,
    edits: [...recipientEdits, ...(action.edits ?? [])],
  };
}

/** The same for every attempt at the same action, so that a copy which is there already is known again. */
function copyName({ startedAt, house }: Transaction, actionId: string): string {
  const host = house.config.hostname.replace(/[^0-9A-Za-z.-]/g, '_');
  return `${Math.floor(startedAt / 1000)}.${actionId.replaceAll('/', '_')}.${host}`;
}

function planBounce(
  draft: Draft,
  recipient: Recipient,
  reply: { code: number; enhanced?: string; text: string },
): void {
  const { transaction } = draft;
  const { envelope, house } = transaction;
  // RFC 5321 section 4.5.5: nothing is ever sent in answer to the null reverse-path.
  if (envelope.sender === '' || recipient.notify.includes('never')) return;
  const message = makeDsn({
    reportingMta: house.config.hostname,
    arrivedAt: transaction.startedAt,
    now: house.clock.now(),
    envelope,
    source: draft.source,
    edits: transaction.state.edits,
    recipients: [{ recipient, action: 'failed', reply }],
  });
  draft.queue.push({
    id: `${transaction.id}/${recipient.id}/dsn`,
    work: {
      kind: 'submit',
      sender: '',
      recipients: [envelope.sender],
      message: Buffer.from(message).toString('latin1'),
    },
  });
}

function planGroups({ transaction, waiting, held, queue }: Draft): void {
  const context = waitingContext(transaction);
  if (waiting.length > 0) {
    queue.push({ id: `${transaction.id}/deliver`, work: { kind: 'deliver', recipients: waiting, context } });
  }
  let ordinal = 0;
  for (const [reason, recipients] of held) {
    queue.push({
      id: `${transaction.id}/held/${ordinal++}`,
      work: { kind: 'held', reason, recipients, context },
    });
  }
}
