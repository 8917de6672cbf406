/** XFORWARD: a content filter's MTA tells where the next message came from. Postfix's XFORWARD_README. */
import type { Answer } from '../../../flow/session.ts';
import { parseForwardedClient, xforwardAttributes } from '../forwarded-client.ts';
import { badSequence, replies, syntaxError } from '../replies.ts';
import type { CommandResult, SmtpSession } from '../session.ts';
import type { Command } from './command.ts';
import { forwardedConnection, proxyAllowed } from './xclient.ts';

export const xforward: Command = { run: remember };

function remember(session: SmtpSession, text: string): CommandResult {
  if (!proxyAllowed(session)) return replies.notPermitted;
  if (session.transaction !== undefined) return badSequence('Not during a mail transaction');
  if (session.user !== undefined) return badSequence('Not after AUTH');
  const client = parseForwardedClient(text, xforwardAttributes);
  if (client === undefined) return syntaxError('Bad XFORWARD attributes');
  // Long attributes come in several commands.
  session.forwarded = { ...session.forwarded, ...client };
  return replies.ok;
}

/** Before MAIL: the hooks see the forwarded client for one transaction, and the proxy itself again after it. */
export async function useForwardedClient(session: SmtpSession): Promise<Answer> {
  const client = session.forwarded;
  if (client === undefined && !session.flowIsForwarded) return undefined;
  session.forwarded = undefined;
  session.flowIsForwarded = client !== undefined;
  const refused = await session.reopen(forwardedConnection(session, client ?? {}, 'origin'));
  if (refused !== undefined) return refused;
  const helo = client?.helo || session.helo;
  const answer = await session.ask(() => session.flow.helo(helo, client?.esmtp ?? session.esmtp));
  return answer !== undefined && answer.code >= 400 ? answer : undefined;
}
