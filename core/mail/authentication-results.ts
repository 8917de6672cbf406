/** The Authentication-Results field: ours is written, forged ones are found, those of others are read. RFC 8601 section 2.2. */
import { domainToUnicode } from 'node:url';
import { isAddress, isDomain } from './address.ts';
import { type AddressToken, tokeniseAddresses } from './address-token.ts';
import { decodeWords } from './encoded-word.ts';

/** One method's result in RFC 8601 words. */
export interface AuthResult {
  /** `spf`, `dkim`, `dmarc`, `arc`, `auth` ... */
  readonly method: string;
  /** `pass`, `fail`, `softfail`, `neutral`, `none`, `temperror`, `permerror`, `policy`. */
  readonly result: string;
  /** Free text for the reason= property. */
  readonly reason?: string;
  /** `ptype.property` to value, such as `smtp.mailfrom` or `header.d`. */
  readonly properties?: Readonly<Record<string, string>>;
}

export interface AuthenticationResults {
  /** Who made the results, as written, unquoted. */
  readonly authservId: string;
  readonly results: readonly AuthResult[];
}

const keyword = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i;
/** RFC 2045 section 5.1. */
const rfc2045Token = /^[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+$/;
const propertyName = /^[a-z0-9-]+\.[a-z0-9_-]+$/i;
const valueCharactersMax = 500;

/**
 * The value of one field with all results, folded; `none` when there are none. What a message brought (addresses,
 * domains, reasons) is quoted, cut and cleaned, so that it cannot look like a result.
 */
export function formatAuthenticationResults(authservId: string, results: readonly AuthResult[]): string {
  const written = results
    .filter(({ method, result }) => keyword.test(method) && keyword.test(result))
    .map(formatResult);
  return [authservId, ...(written.length > 0 ? written : ['none'])].join(';\r\n\t');
}

/**
 * True when a field claims to come from `authservId`, or cannot be read and names it: whoever reads such a field
 * could take it for ours. RFC 8601 section 5.
 */
export function isOurs(value: string, authservId: string): boolean {
  const ours = comparable(authservId);
  const tokens = tokeniseAddresses(value);
  if (tokens.some((token) => token.kind === 'bad')) return comparable(value).includes(ours);
  const written = authservIdTokens(tokens)
    .map((token) => token.value)
    .join('');
  // `id/1` is how the first version of the field wrote its version.
  return comparable(written).split('/')[0] === ours || comparable(decodeWords(written)) === ours;
}

/** Reads any such field; undefined when it breaks the grammar: then nothing in it is to be believed. */
export function parseAuthenticationResults(value: string): AuthenticationResults | undefined {
  const tokens = tokeniseAddresses(value);
  if (tokens.some((token) => token.kind === 'bad')) return undefined;
  const authservId = authservIdTokens(tokens)
    .map((token) => token.value)
    .join('');
  if (authservId === '') return undefined;
  const results: AuthResult[] = [];
  for (const segment of segments(tokens).slice(1)) {
    const text = segmentText(segment);
    if (text === '' || text.toLowerCase() === 'none') continue;
    const result = parseResult(text);
    if (!result) return undefined;
    results.push(result);
  }
  return { authservId, results };
}

function formatResult({ method, result, reason, properties }: AuthResult): string {
  const parts = [`${method}=${result}`];
  if (reason) parts.push(`reason=${quoted(reason)}`);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (propertyName.test(name)) parts.push(`${name}=${propertyValue(value)}`);
  }
  let line = '';
  const lines: string[] = [];
  for (const part of parts) {
    // RFC 5322 section 2.1.1: 78 columns where it can be.
    if (line !== '' && line.length + part.length > 70) {
      lines.push(line);
      line = part;
    } else {
      line = line === '' ? part : `${line} ${part}`;
    }
  }
  return [...lines, line].join('\r\n\t ');
}

/** pvalue: a token, `[local]@domain`, or a quoted string. */
function propertyValue(value: string): string {
  const bare = rfc2045Token.test(value) || isBareAddress(value);
  return bare && value.length <= valueCharactersMax ? value : quoted(value);
}

function isBareAddress(value: string): boolean {
  if (value.startsWith('@')) return isDomain(value.slice(1));
  return !value.startsWith('"') && /^[\x21-\x7e]*$/.test(value) && isAddress(value) && !value.includes('[');
}

function quoted(value: string): string {
  const clean = value.slice(0, valueCharactersMax).replace(/[\0-\x1f\x7f]+/g, ' ');
  return `"${clean.replace(/["\\]/g, '\\$&')}"`;
}

/** The first word of the field: tokens up to white space, a comment or a semicolon. */
function authservIdTokens(tokens: readonly AddressToken[]): AddressToken[] {
  const first = tokens.findIndex((token) => token.kind !== 'comment');
  const word: AddressToken[] = [];
  for (const token of first < 0 ? [] : tokens.slice(first)) {
    if (token.kind === 'comment' || token.text === ';' || (word.length > 0 && token.gap)) break;
    word.push(token);
  }
  return word;
}

/** Lower case, U-labels, no dot at the end. */
function comparable(name: string): string {
  const lower = name.toLowerCase().replace(/\.$/, '');
  return lower.includes('xn--') ? domainToUnicode(lower) || lower : lower;
}

function segments(tokens: readonly AddressToken[]): AddressToken[][] {
  const parts: AddressToken[][] = [[]];
  for (const token of tokens) {
    if (token.kind === 'special' && token.text === ';') parts.push([]);
    else if (token.kind !== 'comment') parts.at(-1)!.push(token);
  }
  return parts;
}

function segmentText(tokens: readonly AddressToken[]): string {
  return tokens.map((token, at) => (token.gap && at > 0 ? ` ${token.text}` : token.text)).join('');
}

const assignment = /([a-z0-9_-]+(?: ?[./] ?[a-z0-9_-]+)?) ?= ?("(?:[^"\\]|\\[\s\S])*"|[^ "]+)(?: |$)/iy;

function parseResult(text: string): AuthResult | undefined {
  assignment.lastIndex = 0;
  const head = assignment.exec(text);
  const method = head?.[1]?.replace(/ ?\/.*/, '');
  if (!head || !method || !keyword.test(method) || !keyword.test(head[2]!)) return undefined;
  let reason: string | undefined;
  const properties: Record<string, string> = {};
  while (assignment.lastIndex < text.length) {
    const match = assignment.exec(text);
    if (!match) return undefined;
    const name = match[1]!.replaceAll(' ', '').toLowerCase();
    const value = match[2]!.startsWith('"') ? match[2]!.slice(1, -1).replace(/\\([\s\S])/g, '$1') : match[2]!;
    if (name === 'reason') reason = value;
    else if (propertyName.test(name)) properties[name] = value;
    else return undefined;
  }
  return {
    method: method.toLowerCase(),
    result: head[2]!.toLowerCase(),
    ...(reason === undefined ? {} : { reason }),
    ...(Object.keys(properties).length > 0 ? { properties } : {}),
  };
}
