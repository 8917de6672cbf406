/**
 * The walk of one message, from its last byte to the answer: stamp, hooks, fates, plan, disk, 250.
 * Nothing is promised before `accept` has it on disk; whatever goes wrong before that is the client's answer.
 */
import { describeError, OperationalError } from '../../core/base/errors.ts';
import type { Reply } from '../../core/mail/reply.ts';
import { conclude } from './conclude.ts';
import { answersPerRecipient, decideFates } from './fates.ts';
import { handOver } from './hand-over.ts';
import type { SpooledMessage } from './session.ts';
import { stamp } from './stamp.ts';
import { leaveTrace } from './trace.ts';
import type { Transaction } from './transaction.ts';

/** Answers one reply per answered RCPT where the door can pass them on, else exactly one. Never rejects. */
export async function transact(transaction: Transaction, spooled: SpooledMessage): Promise<readonly Reply[]> {
  const { source } = spooled;
  try {
    const unacceptable = stamp(transaction, source);
    if (unacceptable) return refuse(transaction, unacceptable, spooled);
    const fates = await decideFates(transaction, source);
    if (spooled.binary && leadsToMailbox(transaction)) return refuse(transaction, notLines, spooled);
    const { keeper } = transaction;
    const { replies, outcomes } = keeper
      ? await handOver(transaction, keeper, fates, source, spooled)
      : await conclude(transaction, fates, source, spooled);
    leaveTrace(transaction, source.length, replies, outcomes);
    return replies;
  } catch (error) {
    logFailure(transaction, error);
    return refuse(transaction, failureReply(error), spooled);
  }
}

/** RFC 3030 section 3 and RFC 3463: X.6.3, conversion required but not supported. */
const notLines: Reply = {
  code: 554,
  enhanced: '5.6.3',
  text: 'mailboxes here hold lines: no bare CR, bare LF or NUL',
};

/** Asked when all recipients are known; then nobody gets a message that some mailbox cannot hold. */
function leadsToMailbox({ envelope, destinations }: Transaction): boolean {
  return envelope.recipients.some(({ id }) => destinations.get(id)!.kind === 'mailbox');
}

function refuse(transaction: Transaction, reply: Reply, spooled: SpooledMessage): readonly Reply[] {
  spooled.release();
  const replies = answersPerRecipient(transaction) ? transaction.answered.map(() => reply) : [reply];
  leaveTrace(transaction, spooled.source.length, replies, new Map());
  return replies;
}

function logFailure({ house, id }: Transaction, error: unknown): void {
  if (error instanceof OperationalError) {
    house.log.warn('not-accepted', { id, code: error.code, error: error.message, ...error.facts });
  } else {
    const stack = error instanceof Error ? (error.stack ?? '') : '';
    house.log.error('not-accepted', { id, error: describeError(error), stack });
  }
}

/** RFC 3463: X.3.1 mail system full, X.3.0 other mail system status. A bug is a temporary failure too: the client keeps the mail. */
function failureReply(error: unknown): Reply {
  if (error instanceof OperationalError && error.code === 'storage-full') {
    return { code: 452, enhanced: '4.3.1', text: error.clientText };
  }
  return { code: 451, enhanced: '4.3.0', text: 'local error in processing, try again later' };
}
