/** Reads a DKIM-Signature field, or why it is none that can be verified. RFC 6376 sections 3.5 and 6.1.1, RFC 8463. */
import { isDomain, normaliseDomain } from '../../mail/address.ts';
import { decodeBase64, parseTagList, splitColons, type TagList } from '../tag-list.ts';
import type { Canonicalization } from './signed-header.ts';

export type KeyType = 'rsa' | 'ed25519';
export type HashName = 'sha256' | 'sha1';

/** What DKIM-Signature and ARC-Message-Signature have in common. */
export interface Signature {
  /** a=, such as `rsa-sha256`. */
  readonly algorithm: string;
  readonly keyType: KeyType;
  readonly hash: HashName;
  readonly signature: Buffer;
  /** bh= without white space. */
  readonly bodyHash: string;
  readonly headerCanonicalization: Canonicalization;
  readonly bodyCanonicalization: Canonicalization;
  /** d=, A-labels in lower case. */
  readonly domain: string;
  /** s= */
  readonly selector: string;
  /** h= in order, as written. */
  readonly signedNames: readonly string[];
  /** l= */
  readonly bodyLength?: number;
  /** t= and x=, epoch seconds. */
  readonly timestamp?: number;
  readonly expires?: number;
}

export interface DkimSignature extends Signature {
  /** i=, `@` and the domain where it was left out. */
  readonly identity: string;
}

export interface SignatureProblem {
  /** RFC 8601 section 2.7.1: `neutral` for what is not understood, `permerror` for what is wrong. */
  readonly result: 'neutral' | 'permerror';
  readonly reason: string;
}

const algorithms: Readonly<Record<string, readonly [KeyType, HashName]>> = {
  'rsa-sha256': ['rsa', 'sha256'],
  'rsa-sha1': ['rsa', 'sha1'],
  'ed25519-sha256': ['ed25519', 'sha256'],
};

/** @param value the field's value, unfolded */
export function parseDkimSignature(value: string): DkimSignature | SignatureProblem {
  const tags = parseTagList(value);
  if (!tags) return permerror('signature is no list of tags');
  const version = tags.get('v');
  if (version !== '1')
    return version === undefined
      ? permerror('v= is missing')
      : neutral(`version ${clip(version)} is unknown`);
  const query = tags.get('q');
  if (query !== undefined && !splitColons(query).includes('dns/txt'))
    return neutral(`query method ${clip(query)} is unknown`);
  const signature = parseSignature(tags);
  if ('reason' in signature) return signature;
  const identity = readIdentity(tags.get('i'), signature.domain);
  if (identity === undefined) return permerror('i= is not within d=');
  return { ...signature, identity };
}

/** The tags that every signature over a message has. */
export function parseSignature(tags: TagList): Signature | SignatureProblem {
  for (const name of ['a', 'b', 'bh', 'd', 'h', 's']) {
    if (!tags.get(name)) return permerror(`${name}= is missing`);
  }
  const algorithm = tags.get('a')!.toLowerCase();
  const known = Object.hasOwn(algorithms, algorithm) ? algorithms[algorithm] : undefined;
  if (!known) return neutral(`algorithm ${clip(algorithm)} is unknown`);
  const canonicalizations = readCanonicalizations(tags.get('c') ?? 'simple/simple');
  if (!canonicalizations) return neutral(`canonicalization ${clip(tags.get('c')!)} is unknown`);
  const domain = readDomain(tags.get('d')!);
  if (domain === undefined) return permerror('d= is no domain');
  const selector = tags.get('s')!;
  if (!isSelector(selector)) return permerror('s= is no selector');
  const signedNames = splitColons(tags.get('h')!);
  if (!signedNames.every((name) => /^[!-9;-~]+$/.test(name))) return permerror('h= is malformed');
  const signature = decodeBase64(tags.get('b')!);
  const bodyHash = decodeBase64(tags.get('bh')!);
  if (!signature || !bodyHash) return permerror(`${signature ? 'bh' : 'b'}= is no base64`);
  const numbers = readNumbers(tags);
  if (!numbers) return permerror('l=, t= or x= is no number');
  const [keyType, hash] = known;
  const [headerCanonicalization, bodyCanonicalization] = canonicalizations;
  return {
    algorithm,
    keyType,
    hash,
    signature,
    bodyHash: bodyHash.toString('base64'),
    headerCanonicalization,
    bodyCanonicalization,
    domain,
    selector,
    signedNames,
    ...numbers,
  };
}

/** A domain as it is asked for in DNS; undefined when it is none. */
export function readDomain(text: string): string | undefined {
  const domain = normaliseDomain(text);
  return isDomain(domain) && domain.includes('.') ? domain : undefined;
}

/** RFC 6376 section 3.1: sub-domains joined by dots. */
export function isSelector(text: string): boolean {
  return (
    text.length <= 200 &&
    /^[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/.test(
      text,
    )
  );
}

/** True when `inner` is `outer` or lies below it; both normalised. */
export function isWithin(inner: string, outer: string): boolean {
  return inner === outer || inner.endsWith(`.${outer}`);
}

function readCanonicalizations(text: string): [Canonicalization, Canonicalization] | undefined {
  const [header = '', body = 'simple', ...rest] = text.toLowerCase().split('/');
  const known = (name: string): name is Canonicalization => name === 'simple' || name === 'relaxed';
  return rest.length === 0 && known(header) && known(body) ? [header, body] : undefined;
}

/** RFC 6376 section 3.5: the domain of i= is d= or lies below it. */
function readIdentity(text: string | undefined, domain: string): string | undefined {
  if (text === undefined) return `@${domain}`;
  // dkim-quoted-printable, section 2.11
  const identity = text.replace(/=([0-9A-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  const at = identity.lastIndexOf('@');
  return at >= 0 && isWithin(normaliseDomain(identity.slice(at + 1)), domain) ? identity : undefined;
}

function readNumbers(tags: TagList): Pick<Signature, 'bodyLength' | 'timestamp' | 'expires'> | undefined {
  const numbers: Record<string, number> = {};
  for (const [tag, name] of [
    ['l', 'bodyLength'],
    ['t', 'timestamp'],
    ['x', 'expires'],
  ] as const) {
    const text = tags.get(tag);
    if (text === undefined) continue;
    const number = /^\d{1,76}$/.test(text) ? Number(text) : Number.NaN;
    // More octets or seconds than that are no number of ours.
    if (!Number.isSafeInteger(number)) return undefined;
    numbers[name] = number;
  }
  return numbers;
}

function permerror(reason: string): SignatureProblem {
  return { result: 'permerror', reason };
}

function neutral(reason: string): SignatureProblem {
  return { result: 'neutral', reason };
}

function clip(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}...` : text;
}
