/** Adds an ARC set to a message: what we found when it came, signed. RFC 8617 section 5.1. */
import { arcSetsMax } from '../../base/limits/auth.ts';
import { foldBase64, hashBody, namesToSign, type SigningKey, signingType, signOctets } from '../dkim/sign.ts';
import { SignedHeader } from '../dkim/signed-header.ts';
import type { AuthMessage } from '../dkim/verify.ts';
import { type ArcSet, readSets } from './sets.ts';
import { sealedText } from './verify.ts';

export interface SealOptions {
  readonly key: SigningKey;
  /** Epoch milliseconds, for t=. */
  readonly now: number;
  /** What the chain was when the message came. */
  readonly cv: 'none' | 'pass' | 'fail';
  /** Value of our Authentication-Results, our name first. */
  readonly results: string;
  /** Names for h=, in order; each as often as it is there. */
  readonly signedNames: readonly string[];
}

/** Values of the three new fields. */
export interface SealedSet {
  readonly results: string;
  readonly messageSignature: string;
  readonly seal: string;
}

/**
 * The set to be put on top of the message; undefined where none may be added: the last seal says that the chain
 * failed, or there are as many as there may be. RFC 8617 section 5.1.
 * @throws Error when the key is neither RSA nor Ed25519
 */
export async function sealArc(message: AuthMessage, options: SealOptions): Promise<SealedSet | undefined> {
  const header = new SignedHeader(message.headers);
  const instance = nextInstance(header);
  if (instance > arcSetsMax || lastSealFailed(header)) return undefined;
  const bodyHash = await hashBody(message, 'relaxed');
  // What is signed must be what is written: other characters would be encoded on the way.
  const results = `i=${instance}; ${options.results.replace(/[^\t\r\n\x20-\x7e]/g, '?')}`;
  const messageSignature = signMessage(header, instance, bodyHash, options);
  const set = {
    instance,
    results: fieldOf('ARC-Authentication-Results', results),
    messageSignature: fieldOf('ARC-Message-Signature', messageSignature),
  };
  return { results, messageSignature, seal: signSets(header, set, options) };
}

function signMessage(header: SignedHeader, instance: number, bodyHash: string, options: SealOptions): string {
  const { key, now, signedNames } = options;
  const names = namesToSign(header, { signedNames, oversignedNames: [] });
  const write = (signature: string) =>
    [
      `a=${algorithmOf(key)};`,
      `\tb=${signature};`,
      `\tbh=${bodyHash}; c=relaxed/relaxed;`,
      `\td=${key.domain}; h=${names.join(':')};`,
      // dkimpy looks for the instance behind a space.
      ` i=${instance}; s=${key.selector}; t=${Math.floor(now / 1000)}`,
    ].join('\r\n');
  const unsigned = header.canonical(fieldOf('ARC-Message-Signature', write('')), 'relaxed');
  // Not folded: a seal covers this value with its white space, and sealers agree on none within it.
  return write(signOctets(header.pick(names, 'relaxed') + unsigned, key.key).toString('base64'));
}

/** A chain that failed is sealed by its last set alone. RFC 8617 section 5.1.2. */
function signSets(header: SignedHeader, set: Omit<ArcSet, 'seal'>, { key, now, cv }: SealOptions): string {
  const write = (signature: string) =>
    [
      `a=${algorithmOf(key)};`,
      `\tb=${signature}; cv=${cv};`,
      `\td=${key.domain}; i=${set.instance}; s=${key.selector}; t=${Math.floor(now / 1000)}`,
    ].join('\r\n');
  const before = cv === 'pass' ? readSets(header) : [];
  const sets = 'problem' in before ? [] : before;
  const sealed = sealedText(header, [...sets, { ...set, seal: fieldOf('ARC-Seal', write('')) }]);
  return write(foldBase64(signOctets(sealed, key.key)));
}

function nextInstance(header: SignedHeader): number {
  const seen = header
    .all('arc-seal')
    .map(({ value }) => Number(/(?:^|;)\s*i\s*=\s*(\d{1,3})\s*(?:;|$)/.exec(value)?.[1] ?? 0));
  return Math.max(0, ...seen) + 1;
}

function lastSealFailed(header: SignedHeader): boolean {
  const last = nextInstance(header) - 1;
  return header
    .all('arc-seal')
    .some(
      ({ value }) =>
        new RegExp(`(?:^|;)\\s*i\\s*=\\s*${last}\\s*(?:;|$)`).test(value) &&
        /(?:^|;)\s*cv\s*=\s*fail\s*(?:;|$)/i.test(value),
    );
}

function fieldOf(name: string, value: string) {
  return { name: name.toLowerCase(), value: value.replaceAll('\r\n', ''), text: `${name}: ${value}` };
}

function algorithmOf({ key, selector, domain }: SigningKey): string {
  const type = signingType(key);
  if (type === undefined) throw new Error(`key ${selector}._domainkey.${domain} is neither RSA nor Ed25519`);
  return `${type}-sha256`;
}
