/** ESMTP parameters of MAIL and RCPT: their grammar, and what they say of an envelope. RFC 5321 section 4.1.2, RFC 3461 section 4. */

import { decodeOrcpt, decodeXtext, encodeOrcpt, encodeXtext } from '../base/xtext.ts';
import type { DsnNotify, Envelope, Recipient } from './envelope.ts';

/** Keyword in upper case; `true` for one without a value. Undefined when the text breaks the grammar or repeats a keyword. */
export type Parameters = ReadonlyMap<string, string | true>;

const none: Parameters = new Map();

export function parseParameters(text: string): Parameters | undefined {
  if (text === '') return none;
  const parameters = new Map<string, string | true>();
  for (const word of text.split(' ')) {
    if (word === '') continue;
    const equals = word.indexOf('=');
    const keyword = (equals === -1 ? word : word.slice(0, equals)).toUpperCase();
    const value = equals === -1 ? true : word.slice(equals + 1);
    if (!/^[A-Z0-9][A-Z0-9-]*$/.test(keyword) || parameters.has(keyword)) return undefined;
    // RFC 6531 section 3.3 lets UTF-8 into the value; "=" turns up unencoded in AUTH and ORCPT of real clients.
    if (value !== true && !/^[^\x00-\x20\x7f-\x9f]+$/.test(value)) return undefined;
    parameters.set(keyword, value);
  }
  return parameters;
}

type ParameterRecord = Readonly<Record<string, string | true>>;
/** What MAIL says, but for the sender. */
export type MailFields = Omit<Envelope, 'sender' | 'recipients' | 'removedIds' | 'origin'>;
/** What RCPT says, but for the address. */
export type RcptFields = Pick<Recipient, 'notify' | 'orcpt' | 'parameters'>;

const bodies: Readonly<Record<string, Envelope['body']>> = {
  '7BIT': '7bit',
  '8BITMIME': '8bitmime',
  BINARYMIME: 'binarymime',
};
const rets: Readonly<Record<string, Envelope['ret']>> = { FULL: 'full', HDRS: 'hdrs' };

/**
 * The fields that parameters give a meaning to; those without one are kept as `parameters`. Values that break their
 * grammar are passed over: whoever has to refuse them has done so.
 */
export function readMailParameters(given: ParameterRecord): Partial<MailFields> {
  const { BODY, SMTPUTF8, REQUIRETLS, SIZE, RET, ENVID, AUTH, ...parameters } = given;
  const body = bodies[textOf(BODY).toUpperCase()];
  const ret = rets[textOf(RET).toUpperCase()];
  const [envid, auth] = [decodeXtext(textOf(ENVID)), decodeXtext(textOf(AUTH))];
  return {
    ...(body && { body }),
    ...(SMTPUTF8 !== undefined && { smtputf8: true }),
    ...(REQUIRETLS !== undefined && { requireTls: true }),
    ...(/^\d{1,20}$/.test(textOf(SIZE)) && { declaredSizeBytes: Number(SIZE) }),
    ...(ret && { ret }),
    ...(envid && { envid }),
    ...(auth && { auth }),
    ...(Object.keys(parameters).length > 0 && { parameters }),
  };
}

/** As readMailParameters. */
export function readRcptParameters(given: ParameterRecord): RcptFields {
  const { NOTIFY, ORCPT, ...parameters } = given;
  const orcpt = decodeOrcpt(textOf(ORCPT));
  return {
    notify: textOf(NOTIFY).toLowerCase().split(',').filter(isNotify),
    ...(orcpt && { orcpt }),
    ...(Object.keys(parameters).length > 0 && { parameters }),
  };
}

/** The fields as MAIL says them, in the order in which RFC 5321 and its extensions came: `['SIZE=1', 'BODY=8BITMIME']`. */
export function mailWords(fields: Partial<MailFields>): string[] {
  const { declaredSizeBytes, body, smtputf8, requireTls, ret, envid, auth, parameters } = fields;
  return [
    ...(declaredSizeBytes === undefined ? [] : [`SIZE=${declaredSizeBytes}`]),
    ...(body === undefined || body === '7bit' ? [] : [`BODY=${body.toUpperCase()}`]),
    ...(smtputf8 ? ['SMTPUTF8'] : []),
    ...(requireTls ? ['REQUIRETLS'] : []),
    ...(ret === undefined ? [] : [`RET=${ret.toUpperCase()}`]),
    ...(envid === undefined ? [] : [`ENVID=${encodeXtext(envid)}`]),
    ...(auth === undefined ? [] : [`AUTH=${auth === '<>' ? auth : encodeXtext(auth)}`]),
    ...otherWords(parameters),
  ];
}

/** As mailWords, for RCPT. */
export function rcptWords({ notify, orcpt, parameters }: RcptFields): string[] {
  return [
    ...(notify.length === 0 ? [] : [`NOTIFY=${notify.join(',').toUpperCase()}`]),
    ...(orcpt === undefined ? [] : [`ORCPT=${encodeOrcpt(orcpt)}`]),
    ...otherWords(parameters),
  ];
}

function otherWords(parameters: ParameterRecord = {}): string[] {
  return Object.entries(parameters).map(([keyword, value]) =>
    value === true ? keyword : `${keyword}=${value}`,
  );
}

function isNotify(word: string): word is DsnNotify {
  return word === 'never' || word === 'success' || word === 'failure' || word === 'delay';
}

function textOf(value: string | true | undefined): string {
  return typeof value === 'string' ? value : '';
}
