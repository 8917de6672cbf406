/** Reports to the sender: what failed, what is late, what was passed on. RFC 3464, RFC 3461, RFC 5321 section 4.5.5. */
import { type DsnRecipient, makeDsn } from '../../core/mail/dsn.ts';
import type { Recipient } from '../../core/mail/envelope.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { StoreAction } from '../delivery/store.ts';
import type { Attempt, Failure, QueueEntry, QueueWork } from '../queue/queue.ts';
import type { House } from './house.ts';
import { wantsFailure } from './plan.ts';
import { openReturned, spoolBytes } from './queued-message.ts';
import { mayBeRepeated, replyText, type SubmitRequest, submit } from './submit.ts';

/**
 * Tells the sender what was given up, all of one message in one report, unless nobody is to be told. Where the report
 * goes nowhere the mail is held: it was answered with a yes, and must not vanish unseen.
 * Rejects when the report could not be made or submitted now: the queue keeps the entries and asks again.
 */
export async function bounce(
  house: House,
  failures: readonly Failure[],
  source: MessageSource,
): Promise<{ readonly hold: string } | void> {
  const { entry, reply } = failures[0]!;
  const { id, work, transactionId } = entry;
  for (const failure of failures) {
    const facts = { id: transactionId, action: failure.entry.id, reply: replyText(failure.reply) };
    house.log.warn('gave-up', facts);
  }
  const sender = work.kind === 'submit' ? work.sender : entry.envelope.sender;
  const reports = failures.flatMap((failure) => reportsOf(house, failure));
  if (sender === '' || reports.length === 0) return;
  // Thousands of reports in one mailbox help nobody: those beyond the limit come later, and later ones gather more.
  if (!house.mayBounce(sender)) throw new Error(`too many reports to ${sender} within an hour`);
  const told = await report(house, entry, source, sender, reports, `${id}/dsn`);
  if (told.outcome === 'retry') throw new Error(`the bounce could not be submitted: ${told.reason}`);
  if (told.outcome === 'done') return undefined;
  house.log.warn('bounce-refused', { id: transactionId, action: id, reply: replyText(told.reply) });
  return { hold: `${replyText(reply)}; the sender cannot be told: ${replyText(told.reply)}` };
}

/** Carries out an entry that only tells the sender something; one who cannot be told is not told. */
export async function notify(
  house: House,
  entry: QueueEntry,
  { action, reports }: QueueWork & { kind: 'notice' },
  source: MessageSource,
): Promise<Attempt> {
  const { sender } = entry.envelope;
  if (sender === '') return { outcome: 'done' };
  const recipients = reports.map((each) => ({ ...each, action, lastAttemptAt: entry.createdAt }));
  const told = await report(house, entry, source, sender, recipients, entry.id);
  if (told.outcome !== 'failed') return told;
  house.log.warn('notice-refused', {
    id: entry.transactionId,
    action: entry.id,
    reply: replyText(told.reply),
  });
  return { outcome: 'done' };
}

async function report(
  house: House,
  entry: QueueEntry,
  source: MessageSource,
  sender: string,
  recipients: readonly DsnRecipient[],
  id: string,
): Promise<Attempt> {
  const returned = await openReturned(house, entry, source);
  let message: Uint8Array;
  try {
    message = makeDsn({
      reportingMta: house.config.hostname,
      arrivedAt: entry.createdAt,
      now: house.clock.now(),
      envelope: { ...entry.envelope, sender },
      source: returned.source,
      edits: returned.edits,
      recipients,
    });
  } finally {
    returned.spooled?.release();
  }
  const spooled = await spoolBytes(house, message);
  const request: SubmitRequest = {
    id,
    createdAt: entry.createdAt,
    smtputf8: entry.envelope.smtputf8,
    repeated: mayBeRepeated(entry),
    sender: '',
    recipients: [sender],
    edits: [],
    origin: 'house',
    // RFC 6710 section 6: a report is as urgent as what it reports on.
    ...(entry.envelope.priority !== undefined && { priority: entry.envelope.priority }),
  };
  return submit(house, request, spooled.source, spooled);
}

function reportsOf(house: House, { entry, reply }: Failure): DsnRecipient[] {
  const { remoteMta } = reply;
  return failedRecipients(entry)
    .filter(wantsFailure)
    .map((recipient) => ({
      recipient,
      action: 'failed',
      reply,
      ...(remoteMta === undefined ? {} : { remoteMta, lastAttemptAt: house.clock.now() }),
    }));
}

function failedRecipients({ work, envelope }: QueueEntry): readonly Recipient[] {
  switch (work.kind) {
    case 'store': {
      const { deliveredTo } = work.store as StoreAction;
      const known = envelope.recipients.filter((recipient) => recipient.address === deliveredTo);
      return known.length > 0 ? known : [plainRecipient(deliveredTo)];
    }
    case 'submit':
      return work.recipients.map(plainRecipient);
    // A notice that could not be given is not reported on.
    case 'notice':
      return [];
    default:
      return work.recipients;
  }
}

function plainRecipient(address: string): Recipient {
  return { id: 'r1', address, original: address, notify: [] };
}
