/** STARTTLS. RFC 3207. */
import { badSequence, replies } from '../replies.ts';
import type { CommandResult, SmtpSession } from '../session.ts';
import type { Command } from './command.ts';

export const starttls: Command = { run: start };

function start(session: SmtpSession, text: string): CommandResult {
  if (text !== '') return replies.noArguments;
  if (session.tls !== undefined) return badSequence('TLS is in use');
  if (!session.door.startTls) return replies.notImplemented;
  // Whoever authenticated in clear would have to be forgotten with all else, RFC 3207 section 4.2.
  if (session.user !== undefined) return badSequence('Not after AUTH');
  if (session.transaction !== undefined) return badSequence('Not during a mail transaction');
  return upgrade(session);
}

async function upgrade(session: SmtpSession): Promise<undefined> {
  session.wire.reply(replies.readyForTls);
  await session.wire.startTls((tls) => session.secured(tls));
}
