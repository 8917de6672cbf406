/** The key that a selector names: fetched, read, remembered as it was read. RFC 6376 section 3.6, RFC 8463 section 4. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { dkimLimits } from '../../base/limits/auth.ts';
import { type AuthDns, askDns } from '../dns.ts';
import { decodeBase64, parseTagList, splitColons } from '../tag-list.ts';
import type { KeyType, Signature } from './signature.ts';

export interface PublicKey {
  readonly key: KeyObject;
  readonly keyType: KeyType;
  readonly bits: number;
  /** h=: hashes that the key may be used with; all when absent. */
  readonly hashes?: readonly string[];
  /** s=: services it serves. */
  readonly services: readonly string[];
  /** t=y: the domain is testing. */
  readonly testing: boolean;
  /** t=s: i= must have the very domain of d=. */
  readonly strict: boolean;
}

export interface KeyProblem {
  readonly problem: string;
}

/**
 * The key of a signature.
 * @throws DnsTrouble when DNS has no answer now
 */
export async function fetchPublicKey(
  { domain, selector }: Pick<Signature, 'domain' | 'selector'>,
  dns: AuthDns,
): Promise<PublicKey | KeyProblem> {
  const records = await askDns(() => dns.txt(`${selector}._domainkey.${domain}`));
  if (records.length === 0) return { problem: 'no key for signature' };
  // RFC 6376 section 3.6.2.2: several records are undefined; what is no key is passed over, then the first is taken.
  const record = records.find((each) => /(?:^|;)\s*p\s*=/.test(each)) ?? records[0]!;
  let key = remembered.get(record);
  if (key === undefined) {
    key = readPublicKey(record);
    if (remembered.size >= dkimLimits.publicKeysMax) remembered.delete(remembered.keys().next().value!);
    remembered.set(record, key);
  }
  return key;
}

/** Records read by this thread: making a KeyObject costs as much as verifying with it. */
const remembered = new Map<string, PublicKey | KeyProblem>();

/** @param record text of a TXT record */
export function readPublicKey(record: string): PublicKey | KeyProblem {
  const tags = parseTagList(record);
  if (!tags) return { problem: 'key record is no list of tags' };
  const [first] = tags.keys();
  if (tags.has('v') && (tags.get('v') !== 'DKIM1' || first !== 'v'))
    return { problem: 'key record is not of version DKIM1' };
  const keyType = (tags.get('k') ?? 'rsa').toLowerCase();
  if (keyType !== 'rsa' && keyType !== 'ed25519')
    return { problem: `key type ${keyType.slice(0, 40)} is unknown` };
  const material = tags.get('p');
  if (material === undefined) return { problem: 'key record has no p=' };
  // RFC 6376 section 3.6.1
  if (material === '') return { problem: 'key was revoked' };
  const key = keyType === 'rsa' ? rsaKey(material) : ed25519Key(material);
  if (!key) return { problem: `key is no ${keyType} key` };
  const flags = splitColons(tags.get('t') ?? '');
  return {
    key,
    keyType,
    bits: key.asymmetricKeyDetails?.modulusLength ?? 256,
    ...(tags.has('h') && { hashes: splitColons(tags.get('h')!) }),
    services: splitColons(tags.get('s') ?? '*'),
    testing: flags.includes('y'),
    strict: flags.includes('s'),
  };
}

/** SubjectPublicKeyInfo as everybody publishes it, or the bare RSAPublicKey that the RFC's text names. */
function rsaKey(text: string): KeyObject | undefined {
  const der = decodeBase64(text);
  if (!der) return undefined;
  for (const type of ['spki', 'pkcs1'] as const) {
    const key = tryKey(() => createPublicKey({ key: der, format: 'der', type }));
    if (key?.asymmetricKeyType === 'rsa') return key;
  }
  return undefined;
}

/** RFC 8463 section 4.2: 32 octets without any ASN.1. */
function ed25519Key(text: string): KeyObject | undefined {
  const octets = decodeBase64(text);
  if (octets?.length !== 32) return undefined;
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: octets.toString('base64url') };
  return tryKey(() => createPublicKey({ key: jwk, format: 'jwk' }));
}

/** What somebody wrote into DNS may be anything: that it is no key is an answer. */
function tryKey(make: () => KeyObject): KeyObject | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}
