/** Which mail is ours to sign: a signature says that we answer for the message. RFC 6376 section 2.2. */
import { type AuthResult, isOurs, parseAuthenticationResults } from 'mailfilter/mail';
import { isSentElsewhere, type MessageInput } from 'mailfilter/plugin';

/**
 * Mail of our users, of trusted networks, and what this server wrote itself. What came from outside and goes on
 * (an alias, a redirect) may carry a forged author of ours: it is signed only where our own check of it, which stands
 * in the header, was a DMARC pass for that author.
 */
export function isOwnMail(
  { connection, session, envelope, message, auth }: MessageInput,
  hostname: string,
  author: string,
): boolean {
  if (envelope.origin !== undefined || session.user !== undefined) return true;
  if (connection.door === 'milter' && isLocal(connection.remoteIp)) return true;
  // In the stage of arrival what was found stands among what gathered; the header may hold forged results there.
  const results = isSentElsewhere(connection.door)
    ? auth
    : message.headers.all('Authentication-Results').flatMap((value) => ownResults(value, hostname));
  return results.some((result) => isDmarcPass(result, author));
}

function ownResults(value: string, hostname: string): readonly AuthResult[] {
  return isOurs(value, hostname) ? (parseAuthenticationResults(value)?.results ?? []) : [];
}

function isDmarcPass({ method, result, properties }: AuthResult, author: string): boolean {
  return method === 'dmarc' && result === 'pass' && properties?.['header.from']?.toLowerCase() === author;
}

/** Programs of this machine, as an MTA shows them to a milter; behind other filter doors that is the MTA itself. */
function isLocal(ip: string): boolean {
  return ip === '' || ip === '::1' || ip.startsWith('127.');
}
