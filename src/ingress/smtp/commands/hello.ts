/** HELO, EHLO and LHLO, and the extensions that are announced. RFC 5321 section 4.1.1.1, RFC 2033 section 4.1. */

import type { Reply } from '../../../../core/mail/reply.ts';
import { xclientAttributes, xforwardAttributes } from '../forwarded-client.ts';
import { prdrOffered } from '../prdr.ts';
import { syntaxError } from '../replies.ts';
import type { CommandResult, SmtpSession } from '../session.ts';
import { authOffered, mechanisms } from './auth.ts';
import type { Command } from './command.ts';
import { proxyAllowed } from './xclient.ts';

/** RFC 2033 section 4.1: an LMTP server must not answer to HELO or EHLO, and LHLO is for LMTP alone. */
export function helloCommands(lmtp: boolean): Record<string, Command> {
  if (lmtp) return { LHLO: { run: (session, text) => hello(session, text, true) } };
  return {
    HELO: { run: (session, text) => hello(session, text, false) },
    EHLO: { run: (session, text) => hello(session, text, true) },
  };
}

/** A domain has at most 255 octets, RFC 5321 section 4.5.3.1.2. */
const nameLengthMax = 255;

function hello(session: SmtpSession, text: string, esmtp: boolean): CommandResult {
  const name = text.trim();
  // Clients say odd things here, and the name proves nothing; it must only be one word that can go into a header field.
  if (name === '' || name.length > nameLengthMax || !/^[^\s<>()"\\;,]+$/.test(name)) {
    return { ...syntaxError('One host name, please'), enhanced: undefined };
  }
  return greet(session, name, esmtp);
}

async function greet(session: SmtpSession, name: string, esmtp: boolean): Promise<Reply> {
  // RFC 5321 section 4.1.4: a hello ends the transaction as RSET does.
  session.reset();
  const answer = await session.ask(() => session.flow.helo(name, esmtp));
  if (answer !== undefined && answer.code >= 400) return answer;
  session.helo = name;
  session.esmtp = esmtp;
  const lines = esmtp ? [session.door.hostname, ...extensions(session)] : [session.door.hostname];
  // RFC 2034 section 4: replies to hello have no enhanced status.
  return { code: 250, text: lines.join('\n') };
}

function extensions(session: SmtpSession): string[] {
  const { door } = session;
  const secure = session.tls !== undefined;
  const lines = ['PIPELINING', `SIZE ${door.limits.messageBytesMax}`];
  if (door.startTls && !secure) lines.push('STARTTLS');
  if (authOffered(session)) lines.push(`AUTH ${mechanisms(session).join(' ')}`);
  lines.push('ENHANCEDSTATUSCODES', '8BITMIME', 'DSN', 'SMTPUTF8', 'CHUNKING', 'BINARYMIME');
  if (prdrOffered(session)) lines.push('PRDR');
  // RFC 8689 section 2: only where TLS is in use.
  if (secure) lines.push('REQUIRETLS');
  lines.push(...timed(session));
  // RFC 9422 section 4.
  lines.push(`LIMITS MAILMAX=${door.limits.messagesPerSessionMax} RCPTMAX=${door.limits.recipientsMax}`);
  lines.push('HELP');
  if (proxyAllowed(session)) {
    const offered = xclientAttributes.filter((name) => name !== 'LOGIN' || session.flow.assume !== undefined);
    lines.push(`XCLIENT ${offered.join(' ')}`, `XFORWARD ${xforwardAttributes.join(' ')}`);
  }
  return lines;
}

/** What a client may ask about the time of delivery: RFC 4865 section 3, RFC 2852 section 2, RFC 6710 section 3. */
function timed({ door }: SmtpSession): string[] {
  const { futureReleaseSecondsMax, deliverBy, priorities } = door.listener;
  const lines: string[] = [];
  if (futureReleaseSecondsMax > 0) {
    const latest = new Date(door.clock.now() + futureReleaseSecondsMax * 1000);
    lines.push(`FUTURERELEASE ${futureReleaseSecondsMax} ${latest.toISOString().replace(/\.\d+Z$/, 'Z')}`);
  }
  if (deliverBy) lines.push('DELIVERBY');
  if (priorities) lines.push('MT-PRIORITY');
  return lines;
}
