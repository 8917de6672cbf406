/**
 * The walk of one message, from its last byte to the answer: stamp, hooks, fates, plan, disk, 250.
 * Nothing is promised before `accept` has it on disk; whatever goes wrong before that is the client's answer.
 */
import { describeError, OperationalError } from '../../core/base/errors.ts';
import { formatAuthenticationResults } from '../../core/mail/authentication-results.ts';
import type { RecipientId } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import { answersPerRecipient, decideFates, type Fates } from './fates.ts';
import { makePlan } from './plan.ts';
import { releaseQuotas, reserveQuotas } from './quotas.ts';
import type { SpooledMessage } from './session.ts';
import { type Outcome, type Settlement, settle } from './settle.ts';
import { stamp } from './stamp.ts';
import { leaveTrace } from './trace.ts';
import type { Transaction } from './transaction.ts';

/** Answers one reply per answered recipient where the door can pass them on, else exactly one. Never rejects. */
export async function transact(transaction: Transaction, spooled: SpooledMessage): Promise<readonly Reply[]> {
  const { length } = spooled.source;
  try {
    const unacceptable = stamp(transaction, spooled.source);
    if (unacceptable) return refuse(transaction, unacceptable, spooled);
    const fates = await decideFates(transaction, spooled.source);
    const { replies, outcomes } = await carryOut(transaction, fates, spooled.source, spooled);
    leaveTrace(transaction, length, replies, outcomes);
    return replies;
  } catch (error) {
    transaction.house.log.error('not-accepted', { id: transaction.id, error: describeError(error) });
    return refuse(transaction, failureReply(error), spooled);
  }
}

/**
 * From fates to disk. Resolves with what the client may hear, which is true by then; rejects when nothing was accepted.
 * @param spooled absent where the bytes belong to the queue
 */
export async function carryOut(
  transaction: Transaction,
  fates: Fates,
  source: MessageSource,
  spooled?: SpooledMessage,
): Promise<Settlement> {
  addAuthenticationResults(transaction);
  await reserveQuotas(transaction, fates, source.length);
  const settlement = settle({
    id: transaction.id,
    recipients: transaction.envelope.recipients,
    fates,
    answered: transaction.answered,
    answersPerRecipient: answersPerRecipient(transaction.connection.door),
    senderVerified: senderVerified(transaction),
  });
  const plan = makePlan(transaction, settlement.outcomes, source);
  try {
    if (plan) await transaction.house.accept({ accepted: plan, source, spooled });
    else spooled?.release();
  } catch (error) {
    releaseQuotas(transaction);
    throw error;
  }
  return settlement;
}

/** RFC 8601: one field, from what every plugin found out. */
function addAuthenticationResults(transaction: Transaction): void {
  const { state, house } = transaction;
  if (state.auth.length === 0) return;
  const value = formatAuthenticationResults(house.config.hostname, state.auth);
  const edit = { type: 'insertHeader', index: 0, name: 'Authentication-Results', value } as const;
  transaction.state = { ...state, edits: [...state.edits, edit] };
}

/** A DSN to this sender reaches who sent the message: authenticated, or aligned by DMARC (RFC 9989). */
function senderVerified({ session, connection, state }: Transaction): boolean {
  if (session.user !== undefined || connection.trusted) return true;
  return state.auth.some(({ method, result }) => method === 'dmarc' && result === 'pass');
}

function refuse(transaction: Transaction, reply: Reply, spooled: SpooledMessage): readonly Reply[] {
  spooled.release();
  const replies = answersPerRecipient(transaction.connection.door)
    ? transaction.answered.map(() => reply)
    : [reply];
  leaveTrace(transaction, spooled.source.length, replies, new Map<RecipientId, Outcome>());
  return replies;
}

/** RFC 3463: X.3.1 mail system full, X.3.0 other mail system status. A bug is a temporary failure too: the client keeps the mail. */
function failureReply(error: unknown): Reply {
  if (error instanceof OperationalError && error.code === 'storage-full') {
    return { code: 452, enhanced: '4.3.1', text: error.clientText };
  }
  return { code: 451, enhanced: '4.3.0', text: 'local error in processing, try again later' };
}
