/** The replies that the door itself gives, and how a reply is written. RFC 5321 section 4.2, RFC 2034, RFC 3463. */
import { errnoOf, OperationalError } from '../../../core/base/errors.ts';
import type { Reply } from '../../../core/mail/reply.ts';

function reply(code: number, enhanced: string | undefined, text: string): Reply {
  return enhanced === undefined ? { code, text } : { code, enhanced, text };
}

export const replies = {
  ok: reply(250, '2.0.0', 'Ok'),
  senderOk: reply(250, '2.1.0', 'Ok'),
  recipientOk: reply(250, '2.1.5', 'Ok'),
  startData: reply(354, undefined, 'End data with <CR><LF>.<CR><LF>'),
  bye: reply(221, '2.0.0', 'Bye'),
  readyForTls: reply(220, '2.0.0', 'Ready to start TLS'),
  authenticated: reply(235, '2.7.0', 'Authentication successful'),
  notVerified: reply(252, '2.1.5', 'Cannot verify, send some mail to find out'),

  bug: reply(451, '4.3.0', 'Internal error, try again later'),
  tooManyRecipients: reply(452, '4.5.3', 'Too many recipients'),
  timeout: reply(421, '4.4.2', 'Timeout, closing connection'),
  shuttingDown: reply(421, '4.3.2', 'Shutting down'),
  tooManyErrors: reply(421, '4.7.0', 'Too many errors'),
  tooManyMessages: reply(421, '4.7.0', 'Too many messages in one session'),
  tooManyConnections: reply(421, '4.7.0', 'Too many connections'),
  tooMuchData: reply(421, '4.3.4', 'Far too much data, closing connection'),
  notMail: reply(421, '4.7.0', 'This is a mail server'),

  unknownCommand: reply(500, '5.5.2', 'Command not recognized'),
  badCharacters: reply(500, '5.5.2', 'Control or malformed characters in command'),
  lineTooLong: reply(500, '5.5.2', 'Line too long'),
  noArguments: reply(501, '5.5.4', 'No arguments allowed'),
  notImplemented: reply(502, '5.5.1', 'Command not implemented'),
  tooBig: reply(552, '5.3.4', 'Message too big'),
  bareNewlines: reply(550, '5.6.0', 'Message holds a bare CR or LF'),
  unknownParameter: reply(555, '5.5.4', 'Parameter not recognized'),
  notPermitted: reply(550, '5.7.0', 'Not permitted'),
  talkedTooSoon: reply(554, '5.5.1', 'You talk before the greeting'),
} as const;

/** 501 with `5.5.4` (parameters) unless another detail says more. */
export function syntaxError(text: string, enhanced = '5.5.4'): Reply {
  return reply(501, enhanced, text);
}

export function badSequence(text: string): Reply {
  return reply(503, '5.5.1', text);
}

/** What a client hears of a spool that failed; whatever is not a known permanent failure is temporary. */
export function spoolFailure(error: unknown): Reply {
  const errno = errnoOf(error instanceof OperationalError ? (error.cause ?? error) : error);
  if (errno === 'ENOSPC' || errno === 'EDQUOT' || errnoOf(error)?.includes('full')) {
    return reply(452, '4.3.1', 'Insufficient system storage');
  }
  if (error instanceof OperationalError) {
    return error.temporary ? reply(451, '4.3.0', error.clientText) : reply(554, '5.3.0', error.clientText);
  }
  return replies.bug;
}

/**
 * The lines of a reply, CRLF included. The class of the enhanced status is taken from the code. A control character
 * can only split a reply and becomes a space; non-ASCII text is for SMTPUTF8 transactions (RFC 6531 section 3.7.4.2).
 */
export function formatReply({ code, enhanced, text }: Reply, smtputf8: boolean): string {
  const status = enhanced === undefined ? '' : `${statusOf(code, enhanced)} `;
  if (plainText.test(text)) return `${code} ${status}${text}\r\n`;
  const lines = text.split('\n').map((line) => clean(line, smtputf8));
  const last = lines.length - 1;
  return lines.map((line, n) => `${code}${n === last ? ' ' : '-'}${status}${line}\r\n`).join('');
}

/** A status that is none says as little as RFC 3463 allows. */
function statusOf(code: number, enhanced: string): string {
  const detail = /^\d(\.\d{1,3}\.\d{1,3})$/.exec(enhanced)?.[1] ?? '.0.0';
  return `${Math.floor(code / 100)}${detail}`;
}

const plainText = /^[\x20-\x7e]*$/;

function clean(line: string, smtputf8: boolean): string {
  const printable = line.replace(/\r$/, '').replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, ' ');
  return smtputf8 ? printable : printable.replace(/[^\x20-\x7e]+/g, '?');
}
