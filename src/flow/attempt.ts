/** What the queue asks for when an entry is due: each kind of work carried out once more, and a bounce when it was given up. */
import { describeError } from '../../core/base/errors.ts';
import { makeDsn } from '../../core/mail/dsn.ts';
import type { Edit } from '../../core/mail/edit.ts';
import type { Recipient } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { OnceKey } from '../../core/session/plan.ts';
import type { StoreAction } from '../delivery/store.ts';
import type { Attempt, QueueEntry, QueueWork } from '../queue/queue.ts';
import { keep } from './actions.ts';
import { concludeAccepted } from './conclude.ts';
import { decideFates, type Fates } from './fates.ts';
import type { House } from './house.ts';
import { wantsFailure } from './plan.ts';
import { routeOf } from './recipients.ts';
import type { SpooledMessage } from './session.ts';
import { replyText, type SubmitRequest, submit } from './submit.ts';
import { beginTransaction, type Transaction, type WaitingContext } from './transaction.ts';

/** Never rejects: what cannot be done now is a retry. */
export async function attempt(house: House, entry: QueueEntry, source: MessageSource): Promise<Attempt> {
  try {
    return await carryOutEntry(house, entry, source);
  } catch (error) {
    return { outcome: 'retry', reason: describeError(error) };
  }
}

/**
 * Tells the sender what was given up, unless nobody is to be told. RFC 5321 section 4.5.5, RFC 3461 section 4.1. Where
 * the report goes nowhere the mail is held: it was answered with a yes, and must not vanish unseen.
 * Rejects when the report could not be made or submitted now: the queue keeps the entry and asks again.
 */
export async function bounce(
  house: House,
  entry: QueueEntry,
  source: MessageSource,
  reply: Reply,
): Promise<{ readonly hold: string } | void> {
  const { id, work, transactionId } = entry;
  house.log.warn('gave-up', { id: transactionId, action: id, reply: replyText(reply) });
  const sender = work.kind === 'submit' ? work.sender : entry.envelope.sender;
  const recipients = failedRecipients(entry).filter(wantsFailure);
  if (sender === '' || recipients.length === 0) return;
  const message = await reportOn(house, entry, source, sender, recipients, reply);
  const spooled = await spoolBytes(house, message);
  const told = await submit(
    house,
    { ...submitRequest(entry, `${id}/dsn`), sender: '', recipients: [sender], edits: [] },
    spooled.source,
    spooled,
  );
  if (told.outcome === 'retry') throw new Error(`the bounce could not be submitted: ${told.reason}`);
  if (told.outcome === 'done') return undefined;
  house.log.warn('bounce-refused', { id: transactionId, action: id, reply: replyText(told.reply) });
  return { hold: `${replyText(reply)}; the sender cannot be told: ${replyText(told.reply)}` };
}

async function reportOn(
  house: House,
  entry: QueueEntry,
  source: MessageSource,
  sender: string,
  recipients: readonly Recipient[],
  reply: Reply,
): Promise<Uint8Array> {
  const returned = await openReturned(house, entry, source);
  try {
    return makeDsn({
      reportingMta: house.config.hostname,
      arrivedAt: entry.createdAt,
      now: house.clock.now(),
      envelope: { ...entry.envelope, sender },
      source: returned.source,
      edits: returned.edits,
      recipients: recipients.map((recipient) => ({ recipient, action: 'failed', reply })),
    });
  } finally {
    returned.spooled?.release();
  }
}

async function carryOutEntry(house: House, entry: QueueEntry, source: MessageSource): Promise<Attempt> {
  const { work } = entry;
  switch (work.kind) {
    case 'store':
      return storeEntry(house, entry, work, source);
    case 'deliver':
    case 'held':
      return deliverAgain(house, entry, work, source);
    case 'submit':
      return submitEntry(house, entry, work, source);
    case 'relay':
      return { outcome: 'retry', reason: 'this version has no outbound delivery' };
  }
}

/**
 * The deliver hooks run again (the first time, for released mail), for the recipients that waited. The mail was
 * answered with a yes: who refuses it now gets it bounced or into Junk, as then.
 */
async function deliverAgain(
  house: House,
  entry: QueueEntry,
  work: QueueWork & { kind: 'deliver' | 'held' },
  source: MessageSource,
): Promise<Attempt> {
  const transaction = resume(house, entry, work);
  for (const { id, address } of work.recipients) {
    transaction.destinations.set(id, routeOf(transaction, address, true));
  }
  try {
    const fates = await decideFates(transaction, source);
    if (work.kind === 'held') release(fates);
    const outcomes = await concludeAccepted(transaction, fates, source);
    if (!outcomes) return { outcome: 'retry', reason: whyWaiting(fates) };
    const became = Object.fromEntries([...outcomes].map(([id, { kind }]) => [id, kind]));
    house.log.info('message-resumed', { id: entry.transactionId, action: entry.id, recipients: became });
    return { outcome: 'done' };
  } finally {
    house.pipelines.forget(transaction.id);
  }
}

function resume(
  house: House,
  entry: QueueEntry,
  work: QueueWork & { kind: 'deliver' | 'held' },
): Transaction {
  const { connection, session, pipeline, startedAt, state } = work.context as WaitingContext;
  const envelope = { ...entry.envelope, recipients: work.recipients };
  const resumed = { ...state, edits: entry.edits };
  // The operator has looked at it.
  if (work.kind === 'held') delete resumed.quarantine;
  return beginTransaction(
    { id: entry.transactionId, house, connection, session, pipeline, startedAt, envelope },
    { planId: entry.id, state: resumed, judged: true, repeated: mayBeRepeated(entry) },
  );
}

/** An operator's release is the last word: rules that would hold the mail again do not. */
function release(fates: Fates): void {
  for (const [id, fate] of fates) {
    if (fate.kind === 'hold') fates.set(id, { kind: 'deliver', actions: [keep] });
  }
}

function whyWaiting(fates: Fates): string {
  const replies = [...fates.values()].flatMap((fate) => (fate.kind === 'defer' ? replyText(fate.reply) : []));
  return replies[0] ?? '';
}

async function storeEntry(
  house: House,
  { edits, envelope }: QueueEntry,
  { store, message }: QueueWork & { kind: 'store' },
  source: MessageSource,
): Promise<Attempt> {
  const spooled = message === undefined ? undefined : await spoolBytes(house, Buffer.from(message, 'latin1'));
  try {
    // What was generated has not come our way: it carries none of the edits.
    const [bytes, marks] = spooled ? [spooled.source, []] : [source, edits];
    await house.store(store as StoreAction, marks, bytes, envelope.smtputf8);
    return { outcome: 'done' };
  } finally {
    spooled?.release();
  }
}

async function submitEntry(
  house: House,
  entry: QueueEntry,
  work: QueueWork & { kind: 'submit' },
  source: MessageSource,
): Promise<Attempt> {
  const { sender, recipients, once } = work;
  if (once && !(await isFirst(house, entry, once))) return { outcome: 'done' };
  const opened = await openSubmitted(house, entry, work, source);
  const request = { ...submitRequest(entry, entry.id), sender, recipients, edits: opened.edits };
  return submit(house, request, opened.source, opened.spooled);
}

/** Whoever sets the key first sends; the same entry may come again, after a crash, until it was sent. */
async function isFirst(
  house: House,
  { id, transactionId }: QueueEntry,
  { plugin = '', key, seconds }: OnceKey,
): Promise<boolean> {
  const state = house.state(plugin);
  if (await state.setIfAbsent(key, id, { ttlSeconds: seconds })) return true;
  if ((await state.get(key)) === id) return true;
  house.log.info('reply-sent-before', { id: transactionId, action: id });
  return false;
}

function submitRequest(
  entry: QueueEntry,
  id: string,
): Pick<SubmitRequest, 'id' | 'createdAt' | 'smtputf8' | 'repeated'> {
  const { createdAt, envelope } = entry;
  return { id, createdAt, smtputf8: envelope.smtputf8, repeated: mayBeRepeated(entry) };
}

/**
 * An attempt may have been cut off after its copies were stored. That an attempt began is counted without a sync, and
 * a release counts anew: so what an earlier process took in, and what has a past, is not believed to be a first one.
 */
function mayBeRepeated({ attempts, lastError, createdAt }: QueueEntry): boolean {
  return attempts > 1 || lastError !== '' || createdAt <= performance.timeOrigin;
}

interface Opened {
  readonly source: MessageSource;
  readonly edits: readonly Edit[];
  readonly spooled?: SpooledMessage;
}

/** The generated message, or the transaction's own with what was changed for this way. */
async function openSubmitted(
  house: House,
  entry: QueueEntry,
  { message, edits = [] }: QueueWork & { kind: 'submit' },
  source: MessageSource,
): Promise<Opened> {
  if (message === undefined) return { source, edits: [...entry.edits, ...edits] };
  const spooled = await spoolBytes(house, Buffer.from(message, 'latin1'));
  return { source: spooled.source, edits, spooled };
}

/** What a report returns: the message that could not be delivered. */
async function openReturned(house: House, entry: QueueEntry, source: MessageSource): Promise<Opened> {
  return entry.work.kind === 'submit'
    ? openSubmitted(house, entry, entry.work, source)
    : { source, edits: entry.edits };
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
      return known.length > 0 ? known : [plainRecipient(deliveredTo)];
    }
    case 'submit':
      return work.recipients.map(plainRecipient);
    default:
      return work.recipients;
  }
}

function plainRecipient(address: string): Recipient {
  return { id: 'r1', address, original: address, notify: [] };
}
