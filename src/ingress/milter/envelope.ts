/** MAIL and RCPT as an MTA passes them on. It has judged their grammar already, so that what cannot be read is taken as it is. */
import { parsePath } from '../../../core/mail/address.ts';
import {
  parseParameters,
  readMailParameters,
  readRcptParameters,
} from '../../../core/mail/esmtp-parameters.ts';
import type { MailFrom, RcptTo } from '../../flow/session.ts';

/** @param domain of addresses without one: mail that was submitted on the MTA's own machine */
export function readMail(path: string, words: readonly string[], domain: string): MailFrom {
  const sender = addressOf(path, 'reverse', domain);
  // Some MTAs keep the argument SMTPUTF8 to themselves.
  const smtputf8 = /[^\x00-\x7f]/.test(sender);
  return { sender, body: '7bit', smtputf8, requireTls: false, ...readMailParameters(parametersOf(words)) };
}

/** @param domain as readMail's */
export function readRcpt(path: string, words: readonly string[], domain: string): RcptTo {
  return { address: addressOf(path, 'forward', domain), ...readRcptParameters(parametersOf(words)) };
}

function addressOf(path: string, kind: 'reverse' | 'forward', domain: string): string {
  const bracketed = path.startsWith('<') ? path : `<${path}>`;
  const parsed = parsePath(bracketed, { smtputf8: true, kind });
  if (!('error' in parsed)) return parsed.address;
  const bare = bracketed.slice(1, bracketed.endsWith('>') ? -1 : undefined);
  return bare === '' || bare.includes('@') || domain === '' ? bare : `${bare}@${domain}`;
}

function parametersOf(words: readonly string[]): Record<string, string | true> {
  return Object.fromEntries(parseParameters(words.join(' ')) ?? []);
}
