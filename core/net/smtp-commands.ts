/** MAIL and RCPT with their parameters, by what the server offers, and what must not be sent to a server that lacks it. RFC 5321 section 4.1.1. */
import { domainToASCII } from 'node:url';
import { encodeOrcpt, encodeXtext } from '../base/xtext.ts';
import type { SmtpReply } from './smtp-reply.ts';

export interface OutgoingRecipient {
  readonly address: string;
  /** RFC 3461 section 4.1; empty or absent: not said. */
  readonly notify?: readonly ('never' | 'success' | 'failure' | 'delay')[];
  /** RFC 3461 section 4.2: `addr-type;address`, xtext undone. */
  readonly orcpt?: string;
}

export interface OutgoingEnvelope {
  /** Reverse-path; '' is the null path. */
  readonly sender: string;
  readonly recipients: readonly (string | OutgoingRecipient)[];
  /** What the content holds: a server without BINARYMIME is not given it; a conversion for one without 8BITMIME is the caller's. Default 7bit. */
  readonly body?: '7bit' | '8bitmime' | 'binarymime';
  /** The header has UTF-8: RFC 6531. Addresses beyond ASCII need it too, but for domains, which have A-labels. */
  readonly smtputf8?: boolean;
  /** RFC 8689. */
  readonly requireTls?: boolean;
  /** RFC 3461 sections 4.3 and 4.4. */
  readonly ret?: 'full' | 'hdrs';
  readonly envid?: string;
  /** RFC 2852: what is left of the time, in whole seconds; a server without DELIVERBY is not given what must go back. */
  readonly deliverBy?: {
    readonly seconds: number;
    readonly mode: 'return' | 'notify';
    readonly trace: boolean;
  };
  /** RFC 6710. */
  readonly priority?: number;
  /** Further ESMTP parameters of MAIL, as they are. */
  readonly parameters?: readonly string[];
}

/** RFC 9422; absent where the server sets none. */
export interface SmtpLimits {
  readonly mailMax?: number;
  readonly rcptMax?: number;
  readonly rcptDomainMax?: number;
}

/** Keyword in upper case to its parameters. */
export type Extensions = ReadonlyMap<string, string>;

/** @param text of the reply to EHLO or LHLO: its first line is a greeting */
export function readExtensions(text: string): Extensions {
  const lines = text.split('\n').slice(1);
  return new Map(
    lines.map((line) => {
      // Old servers say AUTH=PLAIN for AUTH PLAIN.
      const [keyword = '', ...parameters] = line
        .trim()
        .replace(/^AUTH=/i, 'AUTH ')
        .split(/ +/);
      return [keyword.toUpperCase(), parameters.join(' ')];
    }),
  );
}

export function readLimits(extensions: Extensions): SmtpLimits {
  const words = (extensions.get('LIMITS') ?? '').split(' ');
  const limit = (name: string) => {
    const value = words.find((word) => word.toUpperCase().startsWith(`${name}=`))?.slice(name.length + 1);
    return value !== undefined && /^[1-9][0-9]{0,5}$/.test(value) ? Number(value) : undefined;
  };
  const [mailMax, rcptMax, rcptDomainMax] = ['MAILMAX', 'RCPTMAX', 'RCPTDOMAINMAX'].map(limit);
  return {
    ...(mailMax === undefined ? {} : { mailMax }),
    ...(rcptMax === undefined ? {} : { rcptMax }),
    ...(rcptDomainMax === undefined ? {} : { rcptDomainMax }),
  };
}

/**
 * Why this message must not be offered to this server at all, worded as a reply of ours; undefined when it may be.
 * @param octets of the message, where they are known
 */
export function unfit(
  envelope: OutgoingEnvelope,
  extensions: Extensions,
  octets: number | undefined,
): SmtpReply | undefined {
  const sizeMax = Number(extensions.get('SIZE') || 0);
  // RFC 1870 section 4: 0, or no number, is no limit.
  if (octets !== undefined && sizeMax > 0 && octets > sizeMax) {
    return { code: 552, enhanced: '5.3.4', text: `the server takes messages of ${sizeMax} octets at most` };
  }
  // RFC 8689 section 4.2.1: not one octet of it to a server that does not promise the same.
  if (envelope.requireTls === true && !extensions.has('REQUIRETLS')) {
    return { code: 550, enhanced: '5.7.30', text: 'REQUIRETLS needed, and the server does not support it' };
  }
  const late = unfitInTime(envelope, extensions);
  if (late) return late;
  // RFC 6531 section 3.6, RFC 3463 X.6.7.
  if (needsUtf8(envelope) && !extensions.has('SMTPUTF8')) {
    return { code: 553, enhanced: '5.6.7', text: 'SMTPUTF8 needed, and the server does not support it' };
  }
  // RFC 3030 section 2; RFC 3463 X.6.1.
  if (envelope.body === 'binarymime' && !(extensions.has('BINARYMIME') && extensions.has('CHUNKING'))) {
    return { code: 554, enhanced: '5.6.1', text: 'BINARYMIME needed, and the server does not support it' };
  }
  return undefined;
}

/** RFC 2852 section 4.1.4: who cannot promise to send it back in time must not get it. RFC 3463: X.3.3, X.4.7. */
function unfitInTime({ deliverBy }: OutgoingEnvelope, extensions: Extensions): SmtpReply | undefined {
  if (deliverBy?.mode !== 'return') return undefined;
  const offered = extensions.get('DELIVERBY');
  if (offered === undefined) {
    return {
      code: 554,
      enhanced: '5.3.3',
      text: 'a deadline is set, and the server does not support DELIVERBY',
    };
  }
  const [secondsMin = ''] = offered.split(',');
  if (deliverBy.seconds > 0 && deliverBy.seconds >= Number(secondsMin)) return undefined;
  return { code: 554, enhanced: '5.4.7', text: 'the server needs more time than is left' };
}

export function mailCommand(
  envelope: OutgoingEnvelope,
  extensions: Extensions,
  octets: number | undefined,
): string {
  const { body, requireTls, ret, envid, deliverBy, priority, parameters = [] } = envelope;
  const words = [`MAIL FROM:<${addressFor(envelope.sender)}>`];
  if (octets !== undefined && extensions.has('SIZE')) words.push(`SIZE=${octets}`);
  if (body === 'binarymime') words.push('BODY=BINARYMIME');
  else if (body === '8bitmime' && extensions.has('8BITMIME')) words.push('BODY=8BITMIME');
  if (needsUtf8(envelope)) words.push('SMTPUTF8');
  if (requireTls === true) words.push('REQUIRETLS');
  if (deliverBy && extensions.has('DELIVERBY')) {
    const { seconds, mode, trace } = deliverBy;
    words.push(`BY=${seconds};${mode === 'return' ? 'R' : 'N'}${trace ? 'T' : ''}`);
  }
  if (priority !== undefined && extensions.has('MT-PRIORITY')) words.push(`MT-PRIORITY=${priority}`);
  if (extensions.has('DSN')) {
    if (ret !== undefined) words.push(`RET=${ret.toUpperCase()}`);
    if (envid !== undefined) words.push(`ENVID=${encodeXtext(envid)}`);
  }
  return [...words, ...parameters].join(' ');
}

export function rcptCommand(recipient: string | OutgoingRecipient, extensions: Extensions): string {
  if (typeof recipient === 'string') return `RCPT TO:<${addressFor(recipient)}>`;
  const words = [`RCPT TO:<${addressFor(recipient.address)}>`];
  if (extensions.has('DSN')) {
    const { notify = [], orcpt } = recipient;
    if (notify.length > 0) words.push(`NOTIFY=${notify.map((word) => word.toUpperCase()).join(',')}`);
    if (orcpt !== undefined) words.push(`ORCPT=${encodeOrcpt(orcpt)}`);
  }
  return words.join(' ');
}

/** Header, or the local part of an address, beyond ASCII. */
export function needsUtf8({ smtputf8, sender, recipients }: OutgoingEnvelope): boolean {
  if (smtputf8 === true || !isAscii(addressFor(sender))) return true;
  return recipients.some((each) => !isAscii(addressFor(typeof each === 'string' ? each : each.address)));
}

/** With A-labels where only the domain is beyond ASCII: such an address needs no SMTPUTF8. RFC 5891. */
function addressFor(address: string): string {
  if (isAscii(address)) return address;
  const at = address.lastIndexOf('@');
  const local = address.slice(0, at + 1);
  if (!isAscii(local)) return address;
  return local + (domainToASCII(address.slice(at + 1)) || address.slice(at + 1));
}

function isAscii(text: string): boolean {
  return !/[^\0-\x7f]/.test(text);
}
