/** What the queue asks for when an entry is due: each kind of work carried out once more, and a bounce when it was given up. */
import { describeError } from '../../core/base/errors.ts';
import { makeDsn } from '../../core/mail/dsn.ts';
import type { Recipient } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { StoreAction } from '../delivery/store.ts';
import type { Attempt, QueueEntry, QueueWork } from '../queue/queue.ts';
import { decideFates } from './fates.ts';
import type { House } from './house.ts';
import { routeOf } from './recipients.ts';
import type { SpooledMessage } from './session.ts';
import { submit } from './submit.ts';
import { carryOut } from './transact.ts';
import type { Transaction, WaitingContext } from './transaction.ts';

export async function attempt(house: House, entry: QueueEntry, source: MessageSource): Promise<Attempt> {
  const { work } = entry;
  switch (work.kind) {
    case 'store':
      return storeAgain(house, entry, work.store as StoreAction, source);
    case 'deliver':
    case 'held':
      return deliverAgain(house, entry, work, source);
    case 'submit':
      return submitEntry(house, entry, work, source);
    case 'relay':
      return { outcome: 'retry', reason: 'this version has no outbound delivery' };
  }
}

/** Tells the sender what was given up, unless there is nobody to tell. RFC 5321 section 4.5.5, RFC 3461 section 5.2.6. */
export async function bounce(
  house: House,
  entry: QueueEntry,
  source: MessageSource,
  reply: Reply,
): Promise<void> {
  const sender = entry.work.kind === 'submit' ? entry.work.sender : entry.envelope.sender;
  const recipients = failedRecipients(entry).filter((recipient) => !recipient.notify.includes('never'));
  house.log.warn('gave-up', {
    id: entry.transactionId,
    action: entry.id,
    reply: `${reply.code} ${reply.text}`,
  });
  if (sender === '' || recipients.length === 0) return;
  const message = makeDsn({
    reportingMta: house.config.hostname,
    arrivedAt: entry.createdAt,
    now: house.clock.now(),
    envelope: entry.envelope,
    source,
    edits: entry.edits,
    recipients: recipients.map((recipient) => ({ recipient, action: 'failed', reply })),
  });
  const spooled = await spoolBytes(house, message);
  const request = {
    id: `${entry.id}/dsn`,
    createdAt: entry.createdAt,
    sender: '',
    recipients: [sender],
    edits: [],
    smtputf8: entry.envelope.smtputf8,
  };
  const told = await submit(house, request, spooled.source, spooled);
  // The queue keeps the entry and asks again: a failure that nobody hears of would be lost mail.
  if (told.outcome === 'retry') throw new Error(`the bounce could not be submitted: ${told.reason}`);
  if (told.outcome === 'failed')
    house.log.warn('bounce-refused', { action: entry.id, reply: told.reply.text });
}

async function storeAgain(
  house: House,
  entry: QueueEntry,
  action: StoreAction,
  source: MessageSource,
): Promise<Attempt> {
  try {
    await house.store(action, entry.edits, source);
    return { outcome: 'done' };
  } catch (error) {
    return { outcome: 'retry', reason: describeError(error) };
  }
}

/** The deliver hooks run again (the first time, for released mail), for the recipients that waited. */
async function deliverAgain(
  house: House,
  entry: QueueEntry,
  work: QueueWork & { kind: 'deliver' | 'held' },
  source: MessageSource,
): Promise<Attempt> {
  const context = work.context as WaitingContext;
  const transaction: Transaction = {
    id: entry.transactionId,
    house,
    connection: context.connection,
    session: context.session,
    pipeline: context.pipeline,
    startedAt: context.startedAt,
    envelope: { ...entry.envelope, recipients: work.recipients },
    state: { ...context.state, edits: entry.edits },
    destinations: new Map(),
    answered: [],
    discard: undefined,
    judged: true,
    messageId: '',
    reserved: new Map(),
    trace: [],
  };
  for (const { id, address } of work.recipients) {
    transaction.destinations.set(id, routeOf(transaction, address, true));
  }
  try {
    const fates = await decideFates(transaction, source);
    const { replies } = await carryOut(transaction, fates, source);
    const reply = replies[0]!;
    if (reply.code < 400) return { outcome: 'done' };
    if (reply.code < 500) return { outcome: 'retry', reason: reply.text };
    return { outcome: 'failed', reply };
  } catch (error) {
    return { outcome: 'retry', reason: describeError(error) };
  } finally {
    house.pipelines.forget(transaction.id);
  }
}

async function submitEntry(
  house: House,
  entry: QueueEntry,
  work: QueueWork & { kind: 'submit' },
  source: MessageSource,
): Promise<Attempt> {
  const spooled =
    work.message === undefined ? undefined : await spoolBytes(house, Buffer.from(work.message, 'latin1'));
  const request = {
    id: entry.id,
    createdAt: entry.createdAt,
    sender: work.sender,
    recipients: work.recipients,
    edits: [...(spooled ? [] : entry.edits), ...(work.edits ?? [])],
    smtputf8: entry.envelope.smtputf8,
  };
  return submit(house, request, spooled?.source ?? source, spooled);
}

async function spoolBytes(house: House, bytes: Uint8Array): Promise<SpooledMessage> {
  const sink = house.openSink();
  await sink.write(bytes);
  return sink.finish();
}

function failedRecipients({ work, envelope }: QueueEntry): readonly Recipient[] {
  switch (work.kind) {
    case 'store': {
      const { deliveredTo } = work.store as StoreAction;
      const known = envelope.recipients.filter((recipient) => recipient.address === deliveredTo);
      return known.length > 0
        ? known
        : [{ id: 'r1', address: deliveredTo, original: deliveredTo, notify: [] }];
    }
    case 'submit':
      return work.recipients.map((address) => ({ id: 'r1', address, original: address, notify: [] }));
    default:
      return work.recipients;
  }
}
