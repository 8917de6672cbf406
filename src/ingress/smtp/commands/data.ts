/** DATA. RFC 5321 section 4.1.1.4. */
import type { Reply } from '../../../../core/mail/reply.ts';
import { badSequence, replies } from '../replies.ts';
import type { CommandResult, SmtpSession } from '../session.ts';
import type { Command } from './command.ts';

export const data: Command = { run: start };

/** Why a message cannot come now, undefined when it can. */
export function whyNoMessage({ transaction }: SmtpSession): Reply | undefined {
  if (transaction === undefined) return badSequence('MAIL first');
  if (transaction.recipients > 0) return undefined;
  if (transaction.attempts === 0) return badSequence('RCPT first');
  // RFC 2920 section 3.1: what a pipelining client hears when all its recipients were refused.
  return { code: 554, enhanced: '5.5.1', text: 'No valid recipients' };
}

function start(session: SmtpSession, text: string): CommandResult {
  if (text !== '') return replies.noArguments;
  const refused = whyNoMessage(session);
  if (refused !== undefined) return refused;
  // RFC 3030 section 3: binary data needs BDAT, and the two do not mix.
  if (session.transaction!.bdat !== undefined) return badSequence('DATA and BDAT do not mix');
  if (session.transaction!.mailFrom.body === 'binarymime') return badSequence('BINARYMIME needs BDAT');
  return receive(session);
}

async function receive(session: SmtpSession): Promise<Reply | undefined> {
  const answer = await session.ask(() => session.flow.data());
  if (session.closed) return undefined;
  if (answer !== undefined && answer.code >= 400) {
    session.reset();
    return answer;
  }
  const reception = session.openReception('data');
  if ('code' in reception) {
    session.reset();
    return reception;
  }
  session.expected = { kind: 'data', reception };
  return replies.startData;
}
