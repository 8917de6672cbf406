/** RCPT and its parameters. RFC 5321 section 4.1.1.3, RFC 3461 section 4. */
import { decodeOrcpt } from '../../../../core/base/xtext.ts';
import { parsePath } from '../../../../core/mail/address.ts';
import type { DsnNotify } from '../../../../core/mail/envelope.ts';
import { type Parameters, parseParameters } from '../../../../core/mail/esmtp-parameters.ts';
import type { Reply } from '../../../../core/mail/reply.ts';
import type { RcptTo } from '../../../flow/session.ts';
import { badSequence, replies, syntaxError } from '../replies.ts';
import type { CommandResult, SmtpSession, Transaction } from '../session.ts';
import type { Command } from './command.ts';

export const rcpt: Command = { run: rcptTo, grouped: true };

const needsSmtputf8: Reply = { code: 553, enhanced: '5.6.7', text: 'Address needs SMTPUTF8 in MAIL' };

function rcptTo(session: SmtpSession, text: string): CommandResult {
  const { transaction } = session;
  if (transaction === undefined) return badSequence('MAIL first');
  // RFC 3030 section 2: no recipients once the data has begun.
  if (transaction.bdat !== undefined) return badSequence('Not after BDAT');
  transaction.attempts += 1;
  if (transaction.recipients >= session.door.limits.recipientsMax) return replies.tooManyRecipients;
  const parsed = parseRcpt(text);
  if ('code' in parsed) return parsed;
  if (!transaction.mailFrom.smtputf8 && /[^\x00-\x7f]/.test(text)) return needsSmtputf8;
  return accept(session, transaction, parsed);
}

async function accept(
  session: SmtpSession,
  transaction: Transaction,
  parsed: RcptTo,
): Promise<Reply | undefined> {
  const answer = await session.ask(() => session.flow.rcptTo(parsed));
  if (answer !== undefined && answer.code >= 400) return answer;
  transaction.recipients += 1;
  return answer ?? replies.recipientOk;
}

function parseRcpt(text: string): RcptTo | Reply {
  // A space after the colon is wrong by RFC 5321 section 3.3, and common.
  const match = /^TO:(.*)$/i.exec(text);
  if (match === null) return syntaxError('Syntax: RCPT TO:<address>', '5.5.2');
  const path = parsePath(match[1]!, { smtputf8: true, kind: 'forward' });
  if ('error' in path) return syntaxError(path.error, '5.1.3');
  const parameters = parseParameters(path.parametersText);
  return parameters === undefined ? syntaxError('Bad parameters') : readParameters(path.address, parameters);
}

function readParameters(address: string, parameters: Parameters): RcptTo | Reply {
  let notify: readonly DsnNotify[] | undefined = [];
  let orcpt: string | undefined;
  for (const [keyword, value] of parameters) {
    if (keyword === 'NOTIFY') {
      notify = parseNotify(value);
      if (notify === undefined) return syntaxError('Bad NOTIFY parameter');
    } else if (keyword === 'ORCPT') {
      // RFC 3461 section 4.2: at most 500 characters.
      orcpt = value === true || value.length > 500 ? undefined : decodeOrcpt(value);
      if (orcpt === undefined) return syntaxError('Bad ORCPT parameter');
    } else return replies.unknownParameter;
  }
  return orcpt === undefined ? { address, notify } : { address, notify, orcpt };
}

const conditions: readonly DsnNotify[] = ['never', 'success', 'failure', 'delay'];

/** RFC 3461 section 4.1: NEVER alone, or a list of the others. */
function parseNotify(value: string | true): readonly DsnNotify[] | undefined {
  if (value === true) return undefined;
  const words = value.toLowerCase().split(',');
  const notify = words.map((word) => conditions.find((condition) => condition === word));
  if (notify.includes(undefined) || (words.includes('never') && words.length > 1)) return undefined;
  return [...new Set(notify as DsnNotify[])];
}
