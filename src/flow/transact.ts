/**
 * The walk of one message, from its last byte to the answer: stamp, hooks, fates, plan, disk, 250.
 * Nothing is promised before `accept` has it on disk; whatever goes wrong before that is the client's answer.
 */
import { describeError, OperationalError } from '../../core/base/errors.ts';
import type { Reply } from '../../core/mail/reply.ts';
import { doors } from '../../core/session/powers.ts';
import { answersPerRecipient, decideFates } from './fates.ts';
import { makePlan, releaseReservations, reserveQuotas } from './plan.ts';
import type { SpooledMessage } from './session.ts';
import { settle } from './settle.ts';
import { stamp } from './stamp.ts';
import { leaveTrace } from './trace.ts';
import type { Transaction } from './transaction.ts';

export async function transact(transaction: Transaction, spooled: SpooledMessage): Promise<readonly Reply[]> {
  const { house, connection } = transaction;
  let replies: readonly Reply[];
  try {
    const unacceptable = stamp(transaction, spooled.source);
    if (unacceptable) {
      replies = everyAnswer(transaction, unacceptable);
    } else {
      const fates = await decideFates(transaction, spooled.source);
      await reserveQuotas(transaction, fates, spooled.source.length);
      const settlement = settle({
        id: transaction.id,
        recipients: transaction.envelope.recipients,
        fates,
        answered: transaction.answered,
        answersPerRecipient: answersPerRecipient(connection.door),
        senderVerified: senderVerified(transaction),
      });
      const plan = makePlan(transaction, settlement.outcomes, spooled.source);
      if (plan) await house.accept({ accepted: plan, source: spooled.source, spooled });
      replies = settlement.replies;
    }
  } catch (error) {
    releaseReservations(transaction);
    replies = everyAnswer(transaction, failureReply(error));
    house.log.error('accept-failed', { id: transaction.id, error: describeError(error) });
  }
  leaveTrace(transaction, spooled.source.length, replies);
  return replies;
}
