/** Signing keys: read from files, made, and shown as the record that DNS must have. RFC 6376 section 3.6, RFC 8301, RFC 8463. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { isDomain, normaliseDomain } from '../../mail/address.ts';
import { type SigningKey, signingType } from './sign.ts';
import { isSelector, type KeyType } from './signature.ts';

export interface SigningKeyOptions {
  readonly domain: string;
  readonly selector: string;
  /** PEM. */
  readonly keyFile: string;
}

/** Verifiers must take 1024 to 4096 bits and need not take others. RFC 8301 section 3.2. */
const rsaBitsMin = 1024;
const rsaBitsMax = 4096;

/**
 * @param baseDirectory a relative file starts there
 * @throws Error naming the key and what is wrong with it
 */
export function readSigningKey(options: SigningKeyOptions, baseDirectory: string): SigningKey {
  const { selector } = options;
  const domain = normaliseDomain(options.domain);
  const where = `key ${selector}._domainkey.${domain}`;
  if (!isDomain(domain)) throw new Error(`${where}: ${options.domain} is no domain`);
  if (!isSelector(selector)) throw new Error(`${where}: "${selector}" is no selector`);
  return { domain, selector, key: readPrivateKey(resolve(baseDirectory, options.keyFile), where) };
}

/** A new private key. */
export function makeSigningKey(type: KeyType, rsaBits = 2048): KeyObject {
  return type === 'rsa'
    ? generateKeyPairSync('rsa', { modulusLength: rsaBits }).privateKey
    : generateKeyPairSync('ed25519').privateKey;
}

/** Text of the TXT record at `selector._domainkey.domain`. */
export function keyRecord(key: KeyObject): string {
  const spki = createPublicKey(key.export({ format: 'pem', type: 'pkcs8' })).export({
    format: 'der',
    type: 'spki',
  });
  // RFC 8463 section 4.2: the 32 octets alone, which end the structure.
  if (signingType(key) === 'ed25519') return `v=DKIM1; k=ed25519; p=${spki.subarray(-32).toString('base64')}`;
  return `v=DKIM1; k=rsa; p=${spki.toString('base64')}`;
}

function readPrivateKey(path: string, where: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(readFileSync(path));
  } catch (error) {
    throw new Error(`${where}: ${path} cannot be used: ${(error as Error).message}`);
  }
  const type = signingType(key);
  if (type === undefined) throw new Error(`${where}: ${path} is neither an RSA nor an Ed25519 key`);
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (type === 'rsa' && (bits < rsaBitsMin || bits > rsaBitsMax))
    throw new Error(`${where}: an RSA key has ${rsaBitsMin} to ${rsaBitsMax} bits, this one ${bits}`);
  return key;
}
