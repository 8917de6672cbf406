/** Addresses of the SMTP envelope: Path and Mailbox of RFC 5321 section 4.1.2, with RFC 6531 where it was agreed. */
import { isIPv4, isIPv6 } from 'node:net';
import { domainToASCII } from 'node:url';

export interface AddressOptions {
  /** Allow characters beyond US-ASCII in local parts and domains. RFC 6531 section 3.3. */
  readonly smtputf8?: boolean;
}
export interface PathOptions extends AddressOptions {
  /** `reverse` allows `<>`, `forward` allows `<postmaster>`; both are allowed when absent. */
  readonly kind?: 'reverse' | 'forward';
}

export interface AddressError {
  /** A few words for the reply to the client. */
  readonly error: string;
  /** `smtputf8`: right but for characters that need SMTPUTF8 (553 5.6.7). */
  readonly reason: 'syntax' | 'length' | 'smtputf8';
}

export interface Path {
  /**
   * `local@domain`, quotes only where needed, domain in lower case and U-labels as they came; `''` for the null path,
   * `postmaster` (as written) for the one path without a domain.
   */
  readonly address: string;
  /** What follows the path, outer white space removed: the ESMTP parameters. */
  readonly parametersText: string;
}

export interface Mailbox {
  /** As in Path. */
  readonly address: string;
  /** Unquoted. */
  readonly local: string;
  /** Lower case, U-labels as they came; with brackets where it is an address literal. */
  readonly domain: string;
}

/** Octets. RFC 5321 sections 4.5.3.1.1 to 4.5.3.1.3; a path of 256 holds brackets around an address of 254. */
const localOctetsMax = 64;
const domainOctetsMax = 255;
const addressOctetsMax = 254;
const labelOctetsMax = 63;

const atom = /^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\x80-\u{10ffff}]+$/u;
const beyondAscii = /[^\0-\x7f]/;
/** What nearly all addresses are: dot-string@domain in US-ASCII, for which one look is enough. */
const atext = "[A-Za-z0-9!#$%&'*+\\-/=?^_`{|}~]+";
const label = '[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?';
const plainLocal = new RegExp(`^${atext}(?:\\.${atext})*$`);
const plainAddress = new RegExp(`^${atext}(?:\\.${atext})*@${label}(?:\\.${label})*$`);

/**
 * Reads a path at the begin of what follows `MAIL FROM:` or `RCPT TO:`. White space before it is let pass; a source
 * route is checked and ignored (RFC 5321 appendix C).
 */
export function parsePath(text: string, options: PathOptions = {}): Path | AddressError {
  const start = text.search(/[^ \t]/);
  if (start < 0 || text[start] !== '<') return syntax('path must stand in angle brackets');
  const end = closingBracket(text, start + 1);
  if (end < 0) return syntax('path has no closing angle bracket');
  const rest = text.slice(end + 1);
  if (rest !== '' && !/^[ \t]/.test(rest)) return syntax('unexpected characters after the path');
  const address = readPath(text.slice(start + 1, end), options);
  if (typeof address !== 'string') return address;
  return { address, parametersText: rest.trim() };
}

/** Reads `local@domain`, and nothing else. */
export function parseMailbox(text: string, options: AddressOptions = {}): Mailbox | AddressError {
  // No part of an address this short can be longer than it may be.
  if (text.length <= labelOctetsMax && plainAddress.test(text)) {
    const at = text.indexOf('@');
    const local = text.slice(0, at);
    const domain = text.slice(at + 1).toLowerCase();
    return { address: `${local}@${domain}`, local, domain };
  }
  if (beyondAscii.test(text) && !options.smtputf8) {
    const rightWith = !('error' in parseMailbox(text, { smtputf8: true }));
    return rightWith
      ? { error: 'address needs SMTPUTF8', reason: 'smtputf8' }
      : syntax('address holds characters beyond US-ASCII');
  }
  // C1 controls, and U+FFFD in the place of octets that were no UTF-8. RFC 6532 section 3.1.
  if (/[\x80-\x9f\ufffd]/.test(text) || !text.isWellFormed())
    return syntax('address holds malformed characters');
  const localEnd = text.startsWith('"') ? closingQuote(text) + 1 : text.indexOf('@');
  if (localEnd <= 0 || text[localEnd] !== '@') return syntax('address must be local-part@domain');
  const written = text.slice(0, localEnd);
  const local = readLocalPart(written);
  if (local === undefined) return syntax('local part is malformed');
  const domain = text.slice(localEnd + 1).toLowerCase();
  const problem = checkDomain(domain);
  if (problem) return problem;
  if (Buffer.byteLength(written) > localOctetsMax) return tooLong('local part', localOctetsMax);
  const address = joinAddress(local, domain);
  if (Buffer.byteLength(address) > addressOctetsMax) return tooLong('address', addressOctetsMax);
  return { address, local, domain };
}

/** True for a well-formed `local@domain`, SMTPUTF8 allowed. */
export function isAddress(text: string): boolean {
  return !('error' in parseMailbox(text, { smtputf8: true }));
}

/** True for a well-formed domain name, U-labels allowed; false for an address literal. */
export function isDomain(text: string): boolean {
  return !text.startsWith('[') && checkDomain(text.toLowerCase()) === undefined;
}

/** Parts of an address: the local part unquoted, the domain in lower case; no domain for `postmaster` and `''`. */
export function splitAddress(address: string): { local: string; domain: string } {
  const at = address.startsWith('"') ? closingQuote(address) + 1 : address.lastIndexOf('@');
  if (at <= 0 || address[at] !== '@') return { local: address, domain: '' };
  const written = address.slice(0, at);
  return { local: readLocalPart(written) ?? written, domain: address.slice(at + 1).toLowerCase() };
}

/** The address of a local part, which is quoted where its characters ask for it, and a domain. */
export function joinAddress(local: string, domain: string): string {
  const written = isDotString(local) ? local : `"${local.replace(/["\\]/g, '\\$&')}"`;
  return domain === '' ? written : `${written}@${domain}`;
}

/**
 * One form for all ways to write an address: quotes only where needed, domain in lower case with A-labels. For
 * comparing; the local part keeps its case (RFC 5321 section 2.4).
 */
export function compareForm(address: string): string {
  const { local, domain } = splitAddress(address);
  return joinAddress(local, normaliseDomain(domain));
}

/** Lower case with A-labels (RFC 5890); a domain that has no such form only in lower case. */
export function normaliseDomain(domain: string): string {
  const lower = domain.toLowerCase();
  return beyondAscii.test(lower) ? (toALabels(lower) ?? lower) : lower;
}

/** The address in angle brackets. */
export function formatPath(address: string): string {
  return `<${address}>`;
}

function readPath(path: string, options: PathOptions): string | AddressError {
  if (path === '') return options.kind === 'forward' ? syntax('null path is no recipient') : '';
  // RFC 5321 section 4.1.1.3
  if (path.toLowerCase() === 'postmaster' && options.kind !== 'reverse') return path;
  let address = path;
  if (path.startsWith('@')) {
    const colon = path.indexOf(':');
    const hops = path.slice(0, Math.max(colon, 0)).split(',');
    const wellFormed = hops.every(
      (hop) => hop.startsWith('@') && checkDomain(hop.slice(1).toLowerCase()) === undefined,
    );
    if (!wellFormed) return syntax('source route is malformed');
    address = path.slice(colon + 1);
  }
  const mailbox = parseMailbox(address, options);
  return 'error' in mailbox ? mailbox : mailbox.address;
}

/** Index of the bracket that ends a path: quoted strings may hold others. */
function closingBracket(text: string, from: number): number {
  let quoted = false;
  for (let at = from; at < text.length; at++) {
    const character = text[at];
    if (quoted && character === '\\') at++;
    else if (character === '"') quoted = !quoted;
    else if (character === '>' && !quoted) return at;
  }
  return -1;
}

/** Index of the quote that ends the quoted string at the begin of the text, or -1. */
function closingQuote(text: string): number {
  for (let at = 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at;
  }
  return -1;
}

/** The content of a local part, or undefined when it is malformed. */
function readLocalPart(written: string): string | undefined {
  if (!written.startsWith('"')) return isDotString(written) ? written : undefined;
  const content = written.slice(1, -1);
  // qtextSMTP and quoted-pairSMTP: printable characters and the space only.
  if (!/^(?:[\x20\x21\x23-\x5b\x5d-\x7e\x80-\u{10ffff}]|\\[\x20-\x7e])*$/u.test(content)) return undefined;
  return content.replace(/\\(.)/g, '$1');
}

function isDotString(text: string): boolean {
  return plainLocal.test(text) || text.split('.').every((part) => atom.test(part));
}

function checkDomain(domain: string): AddressError | undefined {
  if (domain.startsWith('['))
    return isAddressLiteral(domain) ? undefined : syntax('address literal is malformed');
  const ascii = beyondAscii.test(domain) ? toALabels(domain) : domain;
  if (ascii === undefined || !ascii.split('.').every(isLabel)) return syntax('domain is malformed');
  if (ascii.length > domainOctetsMax) return tooLong('domain', domainOctetsMax);
  if (ascii.split('.').some((label) => label.length > labelOctetsMax))
    return tooLong('domain label', labelOctetsMax);
  return undefined;
}

/** RFC 5321 sub-domain, and underscores, which hosts have in spite of it: other servers take their mail as well. */
function isLabel(label: string): boolean {
  return /^[a-z0-9_-]+$/.test(label) && !label.startsWith('-') && !label.endsWith('-');
}

/** RFC 5321 section 4.1.3; IPv6 in the forms of RFC 4291; General-address-literal with a tag. */
function isAddressLiteral(domain: string): boolean {
  const content = /^\[([\x21-\x5a\x5e-\x7e]+)\]$/.exec(domain)?.[1];
  if (content === undefined) return false;
  if (isIPv4(content)) return true;
  if (content.startsWith('ipv6:')) return isIPv6(content.slice(5)) && !content.includes('%');
  // An IPv6 address whose tag was forgotten is not one of another kind.
  return !isIPv6(content) && /^[a-z0-9-]*[a-z0-9]:.+$/.test(content);
}

/** A-labels of a domain that has U-labels; undefined when it has no valid form. */
function toALabels(domain: string): string | undefined {
  // domainToASCII serves URLs: it would take escapes, and digits in other scripts for an IPv4 address.
  if (/[^a-z0-9._\-\x80-\u{10ffff}]/u.test(domain)) return undefined;
  const ascii = domainToASCII(domain);
  return ascii === '' || isIPv4(ascii) ? undefined : ascii;
}

function syntax(error: string): AddressError {
  return { error, reason: 'syntax' };
}

function tooLong(what: string, octets: number): AddressError {
  return { error: `${what} is longer than ${octets} octets`, reason: 'length' };
}
