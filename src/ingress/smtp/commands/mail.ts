/** MAIL and its parameters. RFC 5321 section 4.1.1.2, 1870, 2852, 3030, 3461, 4865, 4954, 6152, 6531, 6710, 8689. */
import { decodeXtext } from '../../../../core/base/xtext.ts';
import { parsePath } from '../../../../core/mail/address.ts';
import { type Parameters, parseParameters } from '../../../../core/mail/esmtp-parameters.ts';
import type { Reply } from '../../../../core/mail/reply.ts';
import { readDeliverBy, readFutureRelease, readPriority } from '../../../../core/mail/timed-parameters.ts';
import type { MailFrom } from '../../../flow/session.ts';

import { prdrOffered } from '../prdr.ts';
import { badSequence, replies, syntaxError } from '../replies.ts';
import type { CommandResult, SmtpSession } from '../session.ts';
import type { Command } from './command.ts';
import { useForwardedClient } from './xforward.ts';

export const mail: Command = { run: mailFrom, grouped: true };

const authenticationRequired: Reply = { code: 530, enhanced: '5.7.0', text: 'Authentication required' };
const needsSmtputf8: Reply = { code: 553, enhanced: '5.6.7', text: 'Address needs the SMTPUTF8 parameter' };

function mailFrom(session: SmtpSession, text: string): CommandResult {
  if (session.helo === '') return badSequence('Say hello first');
  if (session.transaction !== undefined) return badSequence('Nested MAIL command');
  if (!mayUse(session)) return authenticationRequired;
  const parsed = parseMail(session, text);
  if ('code' in parsed) return parsed;
  if ((parsed.declaredSizeBytes ?? 0) > session.door.limits.messageBytesMax) return replies.tooBig;
  return begin(session, parsed);
}

/** RFC 6409 section 4.3: submission is for users, and for networks that the operator trusts. */
function mayUse(session: SmtpSession): boolean {
  const { door } = session;
  return door.protocol !== 'submission' || session.user !== undefined || session.flow.connection.trusted;
}

async function begin(session: SmtpSession, parsed: MailFrom): Promise<Reply | undefined> {
  if (!session.countMessage()) return replies.tooManyMessages;
  const refused = await useForwardedClient(session);
  if (refused !== undefined) return refused;
  const answer = await session.ask(() => session.flow.mailFrom(parsed));
  if (answer !== undefined && answer.code >= 400) return answer;
  if (!session.closed) session.begin(parsed);
  return answer ?? (parsed.priorityLowered ? lowered : replies.senderOk);
}

/** RFC 6710 section 4.1 and RFC 3463 X.3.6: the requested priority was changed. */
const lowered: Reply = { code: 250, enhanced: '2.3.6', text: '0 is the new priority' };

function parseMail(session: SmtpSession, text: string): MailFrom | Reply {
  // A space after the colon is wrong by RFC 5321 section 3.3, and common.
  const match = /^FROM:(.*)$/i.exec(text);
  if (match === null) return syntaxError('Syntax: MAIL FROM:<address>', '5.5.2');
  const path = parsePath(match[1]!, { smtputf8: true, kind: 'reverse' });
  if ('error' in path) return syntaxError(path.error, '5.1.7');
  const parameters = parseParameters(path.parametersText);
  if (parameters === undefined) return syntaxError('Bad parameters');
  const mail = readParameters(session, path.address, parameters);
  if ('code' in mail) return mail;
  return !mail.smtputf8 && /[^\x00-\x7f]/.test(text) ? needsSmtputf8 : mail;
}

type Draft = { -readonly [key in keyof MailFrom]: MailFrom[key] };

function readParameters(session: SmtpSession, sender: string, parameters: Parameters): MailFrom | Reply {
  const draft: Draft = { sender, body: '7bit', smtputf8: false, requireTls: false };
  for (const [keyword, value] of parameters) {
    const read = readers[keyword];
    const offered = offers[keyword]?.(session) ?? true;
    if (read === undefined || !offered) return replies.unknownParameter;
    if (!read(draft, value, session)) return syntaxError(`Bad ${keyword} parameter`);
  }
  return draft;
}

/** Parameters that do not exist in every session: those of extensions that EHLO did not announce. */
const offers: Readonly<Record<string, ((session: SmtpSession) => boolean) | undefined>> = {
  // RFC 8689 section 2: REQUIRETLS does not exist outside TLS.
  REQUIRETLS: ({ tls }) => tls !== undefined,
  PRDR: prdrOffered,
  HOLDFOR: ({ door }) => door.listener.futureReleaseSecondsMax > 0,
  HOLDUNTIL: ({ door }) => door.listener.futureReleaseSecondsMax > 0,
  BY: ({ door }) => door.listener.deliverBy,
  'MT-PRIORITY': ({ door }) => door.listener.priorities,
};

/** False for a value that the parameter cannot have. */
type ParameterReader = (draft: Draft, value: string | true, session: SmtpSession) => boolean;

const bodies: Readonly<Record<string, MailFrom['body']>> = {
  '7BIT': '7bit',
  '8BITMIME': '8bitmime',
  BINARYMIME: 'binarymime',
};

const readers: Readonly<Record<string, ParameterReader | undefined>> = {
  SIZE(draft, value) {
    // RFC 1870 section 6.1: up to twenty digits. Number() of those is large, never wrong in a comparison.
    if (value === true || !/^\d{1,20}$/.test(value)) return false;
    draft.declaredSizeBytes = Number(value);
    return true;
  },
  BODY(draft, value) {
    const body = value === true ? undefined : bodies[value.toUpperCase()];
    if (body === undefined) return false;
    draft.body = body;
    return true;
  },
  SMTPUTF8(draft, value) {
    draft.smtputf8 = true;
    return value === true;
  },
  REQUIRETLS(draft, value) {
    draft.requireTls = true;
    return value === true;
  },
  PRDR(draft, value) {
    draft.prdr = true;
    return value === true;
  },
  HOLDFOR: (draft, value, session) => hold(draft, 'HOLDFOR', value, session),
  HOLDUNTIL: (draft, value, session) => hold(draft, 'HOLDUNTIL', value, session),
  BY(draft, value, { door }) {
    const deliverBy = value === true ? undefined : readDeliverBy(value, door.clock.now());
    if (deliverBy === undefined) return false;
    draft.deliverBy = deliverBy;
    return true;
  },
  'MT-PRIORITY'(draft, value, session) {
    const priority = value === true ? undefined : readPriority(value);
    if (priority === undefined) return false;
    // RFC 6710 section 9: who is not known may ask for less than others get, not for more.
    const known = session.user !== undefined || session.flow.connection.trusted;
    if (priority > 0 && !known) draft.priorityLowered = true;
    else if (priority !== 0) draft.priority = priority;
    return true;
  },
  RET(draft, value) {
    const word = value === true ? '' : value.toUpperCase();
    if (word !== 'FULL' && word !== 'HDRS') return false;
    draft.ret = word === 'FULL' ? 'full' : 'hdrs';
    return true;
  },
  ENVID(draft, value) {
    // RFC 3461 section 4.4: at most 100 characters.
    const envid = value === true || value.length > 100 ? undefined : decodeXtext(value);
    if (envid === undefined) return false;
    draft.envid = envid;
    return true;
  },
  AUTH(draft, value, session) {
    const identity = value === true ? undefined : decodeXtext(value);
    if (identity === undefined) return false;
    // RFC 4954 section 5: believed only of a client that is itself authenticated or trusted.
    draft.auth = session.user !== undefined || session.flow.connection.trusted ? identity : '<>';
    return true;
  },
};

/** RFC 4865 section 4: one of the two, once, and not for longer than was announced. */
function hold(
  draft: Draft,
  keyword: 'HOLDFOR' | 'HOLDUNTIL',
  value: string | true,
  { door }: SmtpSession,
): boolean {
  if (value === true || draft.futureRelease !== undefined) return false;
  const now = door.clock.now();
  const release = readFutureRelease(keyword, value, now);
  if (release === undefined || release.at - now > door.listener.futureReleaseSecondsMax * 1000) return false;
  draft.futureRelease = release;
  return true;
}
