/**
 * One address as an argument or an envelope has it. RFC 5228 section 2.4.2.3, RFC 5322 section 3.4; more lenient in dots
 * and hyphens, as addresses that are in use break that grammar.
 */
import { type AddressToken, tokeniseAddresses } from '../../core/mail/address-token.ts';

export interface SingleAddress {
  /** `local@domain`, quotes only where needed. */
  readonly address: string;
  readonly local: string;
  /** As written; empty for a local part alone. */
  readonly domain: string;
  /** Display name, empty when there is none. */
  readonly name: string;
}

export interface NoAddress {
  /** A few words. */
  readonly error: string;
}

/** `Name <local@domain>` or `local@domain`. */
export function parseSingleAddress(text: string): SingleAddress | NoAddress {
  const tokens = tokeniseAddresses(text).filter((token) => token.kind !== 'comment');
  const open = tokens.findIndex((token) => isMark(token, '<'));
  if (open < 0) return readAddress(tokens, '');
  const close = tokens.findIndex((token, index) => index > open && isMark(token, '>'));
  if (close < 0) return open === tokens.length - 1 ? { error: 'missing domain' } : { error: "missing '>'" };
  if (close < tokens.length - 1)
    return { error: `not a single address (found '${tokens[close + 1]!.text}')` };
  const name = tokens
    .slice(0, open)
    .map((token) => (token.gap ? ` ${token.value}` : token.value))
    .join('')
    .trim();
  return readAddress(tokens.slice(open + 1, close), name);
}

/** A path of the envelope: brackets or none, source routes ignored, a local part alone allowed; `''` for the null path. */
export function parseEnvelopePath(text: string): string | undefined {
  const inner = /^<(.*)>$/s.exec(text.trim())?.[1] ?? text.trim();
  if (inner === '') return '';
  if (/[<>\s]/.test(inner.replace(/"(?:[^"\\]|\\.)*"/g, ''))) return undefined;
  const routed = inner.startsWith('@') ? withoutRoute(inner) : inner;
  if (routed === undefined) return undefined;
  if (!routed.includes('@')) return /^[^\s@,:;]+$/.test(routed) ? routed : undefined;
  const parsed = readAddress(tokeniseAddresses(routed), '');
  return 'error' in parsed ? undefined : parsed.address;
}

function withoutRoute(path: string): string | undefined {
  const colon = path.indexOf(':');
  const hops = path.slice(0, Math.max(colon, 0)).split(',');
  return hops.every((hop) => /^@[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/.test(hop))
    ? path.slice(colon + 1)
    : undefined;
}

function readAddress(tokens: readonly AddressToken[], name: string): SingleAddress | NoAddress {
  const at = tokens.findIndex((token) => isMark(token, '@'));
  const written = at < 0 ? tokens : tokens.slice(0, at);
  const local = readLocal(written);
  const first = written[0]?.value ?? '';
  if (local === undefined || at < 0) {
    const lonely = written.length > 0 && (at < 0 || written.length > 1) && /^[\x21-\x7e]+$/.test(first);
    return {
      error: lonely ? `invalid or lonely local part '${first}' (expecting '@')` : 'invalid local part',
    };
  }
  const domainTokens = tokens.slice(at + 1);
  const end = domainTokens.findIndex((token) => token.kind === 'special' && token.text !== '.');
  const bad = end < 0 ? undefined : domainTokens[end];
  const domain = readDomain(end < 0 ? domainTokens : domainTokens.slice(0, end));
  if (domain === undefined) return { error: 'invalid or missing domain' };
  if (bad) return { error: `not a single address (found '${bad.text}')` };
  return { address: join(local, domain.toLowerCase()), local, domain, name };
}

/** Words and dots without gaps, or one quoted string. */
function readLocal(tokens: readonly AddressToken[]): string | undefined {
  if (tokens.length === 0) return undefined;
  if (tokens.length === 1 && tokens[0]!.kind === 'quoted') return tokens[0]!.value;
  const fits = tokens.every(
    (token, index) => (token.kind === 'atom' || isMark(token, '.')) && (index === 0 || !token.gap),
  );
  const local = tokens.map((token) => token.value).join('');
  return fits && /^[\x21-\x7e]+$/.test(local) && /[^.]/.test(local) ? local : undefined;
}

function readDomain(tokens: readonly AddressToken[]): string | undefined {
  const [first] = tokens;
  if (first?.kind === 'literal') return tokens.length === 1 ? first.text : undefined;
  const domain = tokens.map((token) => token.value).join('');
  const fits = tokens.every(
    (token, index) => (token.kind === 'atom' || isMark(token, '.')) && (index === 0 || !token.gap),
  );
  return fits && /^[A-Za-z0-9_\x80-\u{10ffff}-]+(?:\.[A-Za-z0-9_\x80-\u{10ffff}-]+)*$/u.test(domain)
    ? domain
    : undefined;
}

function isMark(token: AddressToken, mark: string): boolean {
  return token.kind === 'special' && token.text === mark;
}

function join(local: string, domain: string): string {
  const plain = /^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?:\.[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*$/.test(local);
  return `${plain ? local : `"${local.replace(/["\\]/g, '\\$&')}"`}@${domain}`;
}
