/** What the queue asks for when an entry is due: each kind of work carried out once more. */
import { describeError } from '../../core/base/errors.ts';
import { render } from '../../core/mail/render.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { OnceKey } from '../../core/session/plan.ts';
import type { StoreAction } from '../delivery/store.ts';
import { runCommand } from '../outbound/pipe.ts';
import type { Attempt, QueueEntry, QueueWork } from '../queue/queue.ts';
import { keep } from './actions.ts';
import { notify } from './bounce.ts';
import { concludeAccepted } from './conclude.ts';
import { decideFates, type Fates } from './fates.ts';
import type { House } from './house.ts';
import { openSubmitted, spoolBytes } from './queued-message.ts';
import { routeOf } from './recipients.ts';
import { isTooLate, relay, tooLate } from './relay.ts';
import { mayBeRepeated, replyText, type SubmitRequest, submit } from './submit.ts';
import { beginTransaction, type Transaction, type WaitingContext } from './transaction.ts';

/** Never rejects: what cannot be done now is a retry. */
export async function attempt(house: House, entry: QueueEntry, source: MessageSource): Promise<Attempt> {
  try {
    return await carryOutEntry(house, entry, source);
  } catch (error) {
    return { outcome: 'retry', reason: describeError(error) };
  }
}

async function carryOutEntry(house: House, entry: QueueEntry, source: MessageSource): Promise<Attempt> {
  const { work } = entry;
  switch (work.kind) {
    case 'store':
      return storeEntry(house, entry, work, source);
    case 'deliver':
    case 'held':
      if (isTooLate(entry, house.clock.now())) return { outcome: 'failed', reply: tooLate };
      return deliverAgain(house, entry, work, source);
    case 'submit':
      return submitEntry(house, entry, work, source);
    case 'notice':
      return notify(house, entry, work, source);
    case 'run':
      return runEntry(house, entry, work, source);
    case 'relay': {
      const { attempts } = await relay(house, [entry], source, async () => {});
      return attempts[0]!;
    }
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
  // Its date has come, or an operator did not wait for it.
  const { futureRelease: _, ...rest } = entry.envelope;
  const envelope = { ...rest, recipients: work.recipients };
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

/** A program that fails for good does not take the message with it. */
async function runEntry(
  house: House,
  { edits, envelope, expiresAt, transactionId, id }: QueueEntry,
  { argv, recipients, edits: own = [], keep: kept }: QueueWork & { kind: 'run' },
  source: MessageSource,
): Promise<Attempt> {
  const { smtputf8, sender } = envelope;
  const rendered = render(source, [...edits, ...own], { smtputf8 });
  const reply = await runCommand(argv, { sender, recipient: recipients[0]?.address ?? '', rendered });
  if (reply.code < 400) return { outcome: 'done' };
  const reason = replyText(reply);
  const isLast = house.clock.now() + lastTryMs > expiresAt;
  if (reply.code < 500 && !isLast) return { outcome: 'retry', reason };
  house.log.warn('program-failed', { id: transactionId, action: id, error: reason });
  if (kept !== undefined) await house.store(kept as StoreAction, edits, source, smtputf8);
  return { outcome: 'done' };
}

/** A program that still says "later" this shortly before the mail expires has had its tries. */
const lastTryMs = 24 * 3_600_000;

async function submitEntry(
  house: House,
  entry: QueueEntry,
  work: QueueWork & { kind: 'submit' },
  source: MessageSource,
): Promise<Attempt> {
  const { sender, recipients, once } = work;
  if (once && !(await isFirst(house, entry, once))) return { outcome: 'done' };
  const opened = await openSubmitted(house, entry, work, source);
  const { id, createdAt, envelope } = entry;
  const request: SubmitRequest = {
    id,
    createdAt,
    smtputf8: envelope.smtputf8,
    repeated: mayBeRepeated(entry),
    sender,
    recipients,
    edits: opened.edits,
    origin: work.message === undefined ? envelope.origin : 'house',
    ...(envelope.priority !== undefined && { priority: envelope.priority }),
    ...(work.dsn && { dsn: work.dsn }),
  };
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
