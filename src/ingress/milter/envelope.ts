/** MAIL and RCPT as an MTA passes them on. It has judged their grammar already, so that what cannot be read is taken as it is. */
import { parsePath } from '../../../core/mail/address.ts';
import type { DsnNotify } from '../../../core/mail/envelope.ts';
import type { MailFrom, RcptTo } from '../../flow/session.ts';
import { decodeOrcpt, decodeXtext, parseParameters } from '../smtp/parameters.ts';

/** @param domain of addresses without one: mail that was submitted on the MTA's own machine */
export function readMail(path: string, words: readonly string[], domain: string): MailFrom {
  const sender = addressOf(path, 'reverse', domain);
  const { BODY, SMTPUTF8, REQUIRETLS, SIZE, RET, ENVID, AUTH, ...others } = parametersOf(words);
  const body = bodies[textOf(BODY).toUpperCase()] ?? '7bit';
  const ret = rets[textOf(RET).toUpperCase()];
  const [envid, auth] = [decodeXtext(textOf(ENVID)), decodeXtext(textOf(AUTH))];
  return {
    sender,
    body,
    // Some MTAs keep the argument to themselves.
    smtputf8: SMTPUTF8 !== undefined || /[^\x00-\x7f]/.test(sender),
    requireTls: REQUIRETLS !== undefined,
    ...(/^\d{1,20}$/.test(textOf(SIZE)) && { declaredSizeBytes: Number(SIZE) }),
    ...(ret && { ret }),
    ...(envid && { envid }),
    ...(auth && { auth }),
    ...(Object.keys(others).length > 0 && { parameters: others }),
  };
}

/** @param domain as readMail's */
export function readRcpt(path: string, words: readonly string[], domain: string): RcptTo {
  const { NOTIFY, ORCPT, ...others } = parametersOf(words);
  const orcpt = decodeOrcpt(textOf(ORCPT));
  return {
    address: addressOf(path, 'forward', domain),
    notify: textOf(NOTIFY).toLowerCase().split(',').filter(isNotify),
    ...(orcpt && { orcpt }),
    ...(Object.keys(others).length > 0 && { parameters: others }),
  };
}

const bodies: Readonly<Record<string, MailFrom['body']>> = {
  '8BITMIME': '8bitmime',
  BINARYMIME: 'binarymime',
};
const rets: Readonly<Record<string, MailFrom['ret']>> = { FULL: 'full', HDRS: 'hdrs' };

function isNotify(word: string): word is DsnNotify {
  return word === 'never' || word === 'success' || word === 'failure' || word === 'delay';
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

function textOf(value: string | true | undefined): string {
  return typeof value === 'string' ? value : '';
}
