/** The Received trace field: ours is written, those of others are read. RFC 5321 section 4.4; protocols by RFC 3848, RFC 6531. */
import { isIP, isIPv4 } from 'node:net';
import { isDomain, parseMailbox } from './address.ts';
import { type AddressToken, tokeniseAddresses } from './address-token.ts';
import { formatDate, parseDate } from './date.ts';

export interface ReceivedFacts {
  /** Argument of HELO, EHLO or LHLO, as it came. */
  readonly helo: string;
  /** The client's address; `''` for a unix socket. */
  readonly ip: string;
  /** Verified name of that address; `''` when unknown. */
  readonly remoteName: string;
  /** Our own name. */
  readonly hostname: string;
  readonly lmtp: boolean;
  /** True after EHLO. */
  readonly esmtp: boolean;
  readonly smtputf8: boolean;
  readonly tls?: { readonly protocol: string; readonly cipher: string };
  readonly authenticated: boolean;
  /** Transaction id. */
  readonly id: string;
  /** Named only when there is exactly one: others must not learn of each other. RFC 5321 section 7.2. */
  readonly recipients: readonly string[];
  /** RFC 6710, where one was given. */
  readonly priority?: number;
  /** Epoch milliseconds. */
  readonly date: number;
}

export type ReceivedClauseName = 'from' | 'by' | 'via' | 'with' | 'id' | 'for';

/** One `name value (comment)` of a Received field. */
export interface ReceivedClause {
  /** Lower case. One of ReceivedClauseName, or another word registered since, such as `tls`. */
  readonly name: string;
  /** As written, white space and comments removed. */
  readonly value: string;
  /** Content of the comments after it, without the brackets. */
  readonly comments: readonly string[];
}

export interface ReceivedField {
  readonly clauses: readonly ReceivedClause[];
  /** Comments before the first clause. */
  readonly comments: readonly string[];
  /** What follows the last semicolon; `''` when there is none. */
  readonly dateText: string;
  /** Epoch milliseconds; undefined when the date is missing or cannot be read. */
  readonly date?: number;
}

const heloMax = 255;
const clauseNames: ReadonlySet<string> = new Set([
  'from',
  'by',
  'via',
  'with',
  'id',
  'for',
  'tls',
  'priority',
]);

/** The value of the Received field that we add, folded. Nothing the client said can break out of its place. */
export function formatReceived(facts: ReceivedFacts): string {
  const from = `from ${fromDomain(facts)} ${tcpInfo(facts)}`;
  const tls = facts.tls ? ` (${commentText(`${facts.tls.protocol} ${facts.tls.cipher}`)})` : '';
  const by = `by ${facts.hostname} with ${withProtocol(facts)}${tls}`;
  const recipient = facts.recipients.length === 1 ? ` for <${facts.recipients[0]}>` : '';
  // RFC 6710 section 4.4.
  const priority = facts.priority === undefined ? '' : ` PRIORITY ${facts.priority}`;
  return `${from}\r\n\t${by}\r\n\tid ${facts.id}${recipient}${priority};\r\n\t${formatDate(facts.date)}`;
}

/** Reads any Received field; what it cannot make out is left out, it never fails. */
export function parseReceived(value: string): ReceivedField {
  const tokens = tokeniseAddresses(value);
  const semicolon = tokens.findLastIndex((token) => token.kind === 'special' && token.text === ';');
  const dateText = semicolon < 0 ? '' : spaced(tokens.slice(semicolon + 1));
  const clauses: { name: string; value: string; comments: string[] }[] = [];
  const comments: string[] = [];
  for (const token of semicolon < 0 ? tokens : tokens.slice(0, semicolon)) {
    const last = clauses.at(-1);
    if (token.kind === 'comment') {
      (last?.comments ?? comments).push(token.value);
    } else if (startsClause(token, last)) {
      clauses.push({ name: token.text.toLowerCase(), value: '', comments: [] });
    } else if (last) {
      // Words after the value that name no clause belong to it, as sendmail and others write them.
      last.value += token.gap && last.value !== '' ? ` ${token.text}` : token.text;
    }
  }
  const date = parseDate(dateText);
  return { clauses, comments, dateText, ...(date === undefined ? {} : { date }) };
}

/** The first clause of that name. */
export function receivedClause(field: ReceivedField, name: ReceivedClauseName): ReceivedClause | undefined {
  return field.clauses.find((clause) => clause.name === name);
}

/** Writes a field that was read and perhaps changed; folded, comments escaped. */
export function writeReceived(field: ReceivedField): string {
  const lines = field.clauses.map(({ name, value, comments }) =>
    [name, value, ...comments.map(comment)].join(' '),
  );
  const opening = field.comments.map(comment);
  return `${[...opening, ...lines].join('\r\n\t')};\r\n\t${field.dateText}`;
}

/** The client's address in a `from` clause: in its comments, where servers write what they saw, else the literal. */
export function receivedFromIp(field: ReceivedField): string | undefined {
  const from = receivedClause(field, 'from');
  if (!from) return undefined;
  for (const text of [...from.comments, from.value]) {
    for (const match of text.matchAll(/\[(?:IPv6:)?([0-9a-f:.]{2,45})\]/gi)) {
      if (isIP(match[1]!)) return match[1]!.toLowerCase();
    }
  }
  // qmail and others: an address without brackets.
  return from.comments.flatMap((text) => text.split(/[\s@=]+/)).find((word) => isIP(word) !== 0);
}

/** `with` protocol types as IANA registers them. */
function withProtocol({ lmtp, esmtp, smtputf8, tls, authenticated }: ReceivedFacts): string {
  if (!lmtp && !esmtp) return 'SMTP';
  const base = smtputf8 ? (lmtp ? 'UTF8LMTP' : 'UTF8SMTP') : lmtp ? 'LMTP' : 'ESMTP';
  return `${base}${tls ? 'S' : ''}${authenticated ? 'A' : ''}`;
}

/** Clients say what they like in HELO: what is no domain or literal is told in the comment instead. */
function fromDomain({ helo, ip, smtputf8 }: ReceivedFacts): string {
  if (isExtendedDomain(helo, smtputf8)) return helo;
  return ip === '' ? 'localhost' : addressLiteral(ip);
}

function tcpInfo(facts: ReceivedFacts): string {
  const { helo, ip, remoteName } = facts;
  const said = helo !== '' && !isExtendedDomain(helo, facts.smtputf8) ? `HELO ${helo.slice(0, heloMax)}` : '';
  const name = isDomain(remoteName) ? remoteName : '';
  const where = ip === '' ? 'local' : addressLiteral(ip);
  return `(${[name, where].filter(Boolean).join(' ')}${said ? `; ${commentText(said)}` : ''})`;
}

function isExtendedDomain(helo: string, smtputf8: boolean): boolean {
  return !('error' in parseMailbox(`x@${helo}`, { smtputf8 }));
}

/** RFC 5321 section 4.1.3. */
function addressLiteral(ip: string): string {
  return isIPv4(ip) ? `[${ip}]` : `[IPv6:${ip}]`;
}

function comment(text: string): string {
  return `(${commentText(text)})`;
}

/** Printable US-ASCII with brackets and backslashes escaped. */
function commentText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').replace(/[()\\]/g, '\\$&');
}

function startsClause(token: AddressToken, last: ReceivedClause | undefined): boolean {
  if (token.kind !== 'atom' || !clauseNames.has(token.text.toLowerCase())) return false;
  // `from` may itself be a host's name: a clause without a value takes the next word whatever it is.
  return last === undefined || (token.gap && (last.value !== '' || last.comments.length > 0));
}

/** Tokens as text, comments left out, one space where there was white space. */
function spaced(tokens: readonly AddressToken[]): string {
  let text = '';
  for (const token of tokens) {
    if (token.kind !== 'comment') text += (token.gap && text !== '' ? ' ' : '') + token.text;
  }
  return text;
}
