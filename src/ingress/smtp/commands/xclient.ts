/** XCLIENT: a listed proxy names the client it speaks for. Postfix's XCLIENT_README. */
import type { Connection } from '../../../../core/session/connection.ts';
import { type ForwardedClient, parseForwardedClient, xclientAttributes } from '../forwarded-client.ts';
import { badSequence, replies, syntaxError } from '../replies.ts';
import type { CommandResult, SmtpSession } from '../session.ts';
import type { Command } from './command.ts';

export const xclient: Command = { run: replaceClient };

/** Judged by the address that the socket, or PROXY, has; a client that a proxy put in its place is not asked again. */
export function proxyAllowed(session: SmtpSession): boolean {
  return !session.replaced && session.door.xclientFrom.matches(session.peer.remoteIp);
}

function replaceClient(session: SmtpSession, text: string): CommandResult {
  if (!proxyAllowed(session)) return replies.notPermitted;
  if (session.transaction !== undefined) return badSequence('Not during a mail transaction');
  const client = parseForwardedClient(text, xclientAttributes);
  if (client === undefined) return syntaxError('Bad XCLIENT attributes');
  if (client.login && session.flow.assume === undefined) return syntaxError('LOGIN is not supported');
  return become(session, client);
}

async function become(session: SmtpSession, client: ForwardedClient): Promise<undefined> {
  session.replaced = client.address !== undefined;
  session.user = undefined;
  session.forwarded = undefined;
  session.flowIsForwarded = false;
  session.helo = '';
  session.esmtp = false;
  const connection = forwardedConnection(session, client, 'client');
  session.door.log.info('smtp-xclient', { id: connection.id, ip: connection.remoteIp });
  const refused = (await session.reopen(connection)) ?? (await takeOver(session, client));
  if (session.closed) return;
  if (refused === undefined) {
    session.sendGreeting();
    return;
  }
  session.wire.reply(refused);
  session.end('limit');
}

/** HELO and LOGIN of the client, where the proxy gave them. */
async function takeOver(session: SmtpSession, client: ForwardedClient) {
  if (client.helo) {
    const esmtp = client.esmtp ?? true;
    const answer = await session.ask(() => session.flow.helo(client.helo!, esmtp));
    if (answer !== undefined && answer.code >= 400) return answer;
    session.helo = client.helo;
    session.esmtp = esmtp;
  }
  if (!client.login) return undefined;
  const outcome = await session.flow.assume!(client.login).catch((error) => ({
    refused: session.bug(error),
  }));
  if ('refused' in outcome) return outcome.refused;
  session.user = outcome.user;
  return undefined;
}

/**
 * The connection as the flow is to see it. `client`: the forwarded address decides what is permitted; `origin`: it is
 * known to the hooks only, and the proxy's own address decides (XFORWARD_README: not for access control).
 */
export function forwardedConnection(
  session: SmtpSession,
  client: ForwardedClient,
  role: 'client' | 'origin',
): Connection {
  const { peer, door } = session;
  const remoteIp = client.address ?? peer.remoteIp;
  const trustedIp = role === 'client' ? remoteIp : peer.remoteIp;
  return {
    ...session.flow.connection,
    localIp: client.localAddress || peer.localIp,
    localPort: client.localPort || peer.localPort,
    remoteIp,
    remotePort: client.port ?? (client.address === undefined ? peer.remotePort : 0),
    remoteName: client.name ?? '',
    trusted: door.trusted.matches(trustedIp),
  };
}
