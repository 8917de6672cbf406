/** Makes DKIM signatures: several keys over one reading of the body. RFC 6376 section 5, RFC 8463. */
import { constants, hash as digestOf, type KeyObject, sign } from 'node:crypto';
import { BodyHash } from './body-hash.ts';
import type { KeyType } from './signature.ts';
import { type Canonicalization, SignedHeader } from './signed-header.ts';
import type { AuthMessage } from './verify.ts';

export interface SigningKey {
  /** d= and s= */
  readonly domain: string;
  readonly selector: string;
  /** Private; RSA or Ed25519. */
  readonly key: KeyObject;
}

export interface SignOptions {
  /** Epoch milliseconds, for t= and x=. */
  readonly now: number;
  /** Names of fields to sign where they are there: each as often as it is there. */
  readonly signedNames: readonly string[];
  /** Names signed once more than they are there, so that none can be added. RFC 6376 section 8.15. */
  readonly oversignedNames: readonly string[];
  readonly headerCanonicalization: Canonicalization;
  readonly bodyCanonicalization: Canonicalization;
  /** x= that much after t=; none when absent. */
  readonly expiresSeconds?: number;
}

/**
 * Values for DKIM-Signature fields, one for each key and in their order, folded.
 * @throws Error when a key is neither RSA nor Ed25519
 */
export async function signDkim(
  message: AuthMessage,
  keys: readonly SigningKey[],
  options: SignOptions,
): Promise<string[]> {
  if (keys.length === 0) return [];
  const header = new SignedHeader(message.headers);
  const names = namesToSign(header, options);
  const bodyHash = await hashBody(message, options.bodyCanonicalization);
  return keys.map((key) => signHeader(header, names, bodyHash, key, options));
}

/** Base64 of the SHA-256 of the body. */
export async function hashBody(message: AuthMessage, canonicalization: Canonicalization): Promise<string> {
  const body = new BodyHash({ hash: 'sha256', canonicalization });
  for await (const chunk of message.body()) body.update(chunk as Buffer);
  return body.digest();
}

/** The list for h=; From is in it whatever the options say. RFC 6376 section 5.4. */
export function namesToSign(
  header: SignedHeader,
  { signedNames, oversignedNames }: Pick<SignOptions, 'signedNames' | 'oversignedNames'>,
): string[] {
  const oversigned = new Set(oversignedNames.map((name) => name.toLowerCase()));
  const wanted = new Set([...signedNames.map((name) => name.toLowerCase()), ...oversigned, 'from']);
  return [...wanted].flatMap((name) => {
    const present = header.all(name).length;
    return new Array<string>(present + (oversigned.has(name) ? 1 : 0)).fill(name);
  });
}

/** `rsa` or `ed25519`; others cannot sign mail. */
export function signingType(key: KeyObject): KeyType | undefined {
  const type = key.asymmetricKeyType;
  return type === 'rsa' || type === 'ed25519' ? type : undefined;
}

/** RFC 8463 section 3: ed25519 signs the hash, RSA the octets (by their hash). */
export function signOctets(text: string, key: KeyObject): Buffer {
  const octets = Buffer.from(text, 'latin1');
  if (signingType(key) === 'ed25519') return sign(null, digestOf('sha256', octets, 'buffer'), key);
  return sign('sha256', octets, { key, padding: constants.RSA_PKCS1_PADDING });
}

/** Tags in lines of less than 78 columns; the last one, b=, has no value yet and a line of its own. */
export function foldTags(
  tags: readonly (readonly [name: string, value: string])[],
  firstColumn: number,
): string {
  let column = firstColumn;
  return tags
    .map(([name, value], index) => {
      const tag = `${name}=${value}${index === tags.length - 1 ? '' : ';'}`;
      const fits = index === 0 || (value !== '' && column + tag.length < 77);
      column = (fits ? column : 1) + tag.length + 1;
      return index === 0 ? tag : `${fits ? ' ' : '\r\n\t'}${foldAt(tag, ':')}`;
    })
    .join('');
}

/** The value of b=: base64 in lines of 72 columns, with the tag's name in the first. */
export function foldBase64(signature: Buffer): string {
  const text = `b=${signature.toString('base64')}`;
  return text.replace(/.{72}(?=.)/g, '$&\r\n\t').slice(2);
}

function signHeader(
  header: SignedHeader,
  names: readonly string[],
  bodyHash: string,
  { domain, selector, key }: SigningKey,
  { now, headerCanonicalization, bodyCanonicalization, expiresSeconds }: SignOptions,
): string {
  const type = signingType(key);
  if (type === undefined) throw new Error(`key ${selector}._domainkey.${domain} is neither RSA nor Ed25519`);
  const seconds = Math.floor(now / 1000);
  const unsigned = foldTags(
    [
      ['v', '1'],
      ['a', `${type}-sha256`],
      ['c', `${headerCanonicalization}/${bodyCanonicalization}`],
      ['d', domain],
      ['s', selector],
      ['t', String(seconds)],
      ...(expiresSeconds === undefined ? [] : [['x', String(seconds + expiresSeconds)] as const]),
      ['h', names.join(':')],
      ['bh', bodyHash],
      ['b', ''],
    ],
    'DKIM-Signature: '.length,
  );
  const field = { name: 'dkim-signature', value: '', text: `DKIM-Signature: ${unsigned}` };
  const signed = header.pick(names, headerCanonicalization) + header.canonical(field, headerCanonicalization);
  return `${unsigned}${foldBase64(signOctets(signed, key))}`;
}

/** A long list is folded after its separators. */
function foldAt(tag: string, separator: string): string {
  if (tag.length < 76) return tag;
  let line = '';
  const lines: string[] = [];
  for (const part of tag.split(new RegExp(`(?<=${separator})`))) {
    if (line !== '' && line.length + part.length > 75) {
      lines.push(line);
      line = '';
    }
    line += part;
  }
  return [...lines, line].join('\r\n\t');
}
