/** One signature over a header and the body: its key, its policy, the header's part at once and the body's when it was read. RFC 6376 section 6.1. */
import { constants, hash as digestOf, verify } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { AuthDns } from '../dns.ts';
import { DnsTrouble } from '../dns.ts';
import { BodyHash } from './body-hash.ts';
import { fetchPublicKey, type PublicKey } from './public-key.ts';
import type { Signature } from './signature.ts';
import { type SignedField, type SignedHeader, withoutSignature } from './signed-header.ts';

/** RFC 8601 section 2.7.1. */
export type SignatureResult = 'pass' | 'fail' | 'policy' | 'neutral' | 'temperror' | 'permerror';

export interface Judgement {
  readonly result: SignatureResult;
  /** A few words; empty for a pass that has nothing to add. */
  readonly reason: string;
}

/** What is asked of a signature beyond its being right. */
export interface SignaturePolicy {
  /** Shorter RSA keys are not trusted. RFC 8301 section 3.2 says 1024. */
  readonly rsaBitsMin: number;
  /** Trust rsa-sha1, which RFC 8301 section 3.1 forbids. */
  readonly allowSha1: boolean;
  /** Trust a signature though octets follow those that it covers (l=). RFC 6376 section 8.2 tells of the danger. */
  readonly allowPartialBody: boolean;
  /** How far t= may lie ahead of our clock. */
  readonly clockSkewSeconds: number;
  /** Epoch seconds. */
  readonly now: number;
}

/** A signature whose header part is right: the body decides. */
export interface HeaderVerified {
  readonly signature: Signature;
  readonly key: PublicKey;
}

/** Key, policy and header. What the policy refuses is still verified, so that the reason can say so. */
export async function checkHeader(
  header: SignedHeader,
  field: SignedField,
  signature: Signature,
  dns: AuthDns,
): Promise<HeaderVerified | Judgement> {
  let key: Awaited<ReturnType<typeof fetchPublicKey>>;
  try {
    key = await fetchPublicKey(signature, dns);
  } catch (error) {
    if (!(error instanceof DnsTrouble)) throw error;
    return { result: 'temperror', reason: 'key is not available now' };
  }
  if ('problem' in key) return { result: 'permerror', reason: key.problem };
  const unfit = keyUnfit(key, signature);
  if (unfit) return { result: 'permerror', reason: unfit };
  const { headerCanonicalization } = signature;
  const unsigned = { ...field, text: withoutSignature(field.text) };
  const signed =
    header.pick(signature.signedNames, headerCanonicalization) +
    header.canonical(unsigned, headerCanonicalization);
  return verifyOctets(signed, signature, key)
    ? { signature, key }
    : { result: 'fail', reason: 'signature did not verify' };
}

/** RFC 8463 section 3: ed25519 signs the hash, RSA the octets (by their hash). */
export function verifyOctets(
  text: string,
  signature: Pick<Signature, 'keyType' | 'hash' | 'signature'>,
  { key }: PublicKey,
): boolean {
  const octets = Buffer.from(text, 'latin1');
  if (signature.keyType === 'ed25519')
    return verify(null, digestOf('sha256', octets, 'buffer'), key, signature.signature);
  return verify(signature.hash, octets, { key, padding: constants.RSA_PKCS1_PADDING }, signature.signature);
}

/** Reads the body once for all; the answers are in the order of the signatures. */
export async function checkBodies(
  verified: readonly HeaderVerified[],
  body: () => Readable,
  policy: SignaturePolicy,
): Promise<Judgement[]> {
  if (verified.length === 0) return [];
  const hashes = new Map<string, BodyHash>();
  const hashOf = ({ signature }: HeaderVerified) => {
    const { hash, bodyCanonicalization: canonicalization, bodyLength: length } = signature;
    const kind = `${hash} ${canonicalization} ${length}`;
    const found = hashes.get(kind) ?? new BodyHash({ hash, canonicalization, length });
    hashes.set(kind, found);
    return found;
  };
  const wanted = verified.map(hashOf);
  for await (const chunk of body()) for (const hash of hashes.values()) hash.update(chunk as Buffer);
  const digests = new Map([...hashes.values()].map((hash) => [hash, hash.digest()]));
  return verified.map((each, index) =>
    judge(each, digests.get(wanted[index]!)!, wanted[index]!.octets, policy),
  );
}

function judge(
  { signature, key }: HeaderVerified,
  digest: string,
  octets: number,
  policy: SignaturePolicy,
): Judgement {
  const { bodyHash, bodyLength } = signature;
  if (bodyLength !== undefined && bodyLength > octets)
    return { result: 'permerror', reason: 'body is shorter than l=' };
  if (digest !== bodyHash) return { result: 'fail', reason: 'body hash did not verify' };
  const mistrust = mistrustOf(signature, key, policy);
  if (mistrust) return { result: 'policy', reason: mistrust };
  const unsigned = bodyLength === undefined ? 0 : octets - bodyLength;
  if (unsigned === 0) return { result: 'pass', reason: '' };
  const reason = `${unsigned} octets of the body are not signed`;
  return { result: policy.allowPartialBody ? 'pass' : 'policy', reason };
}

/** Why a signature that is right is not to be trusted all the same. */
function mistrustOf(
  { hash, timestamp, expires }: Signature,
  { keyType, bits }: PublicKey,
  { rsaBitsMin, allowSha1, clockSkewSeconds, now }: SignaturePolicy,
): string | undefined {
  if (hash === 'sha1' && !allowSha1) return 'rsa-sha1 is not trusted';
  if (keyType === 'rsa' && bits < rsaBitsMin) return `key of ${bits} bits is too short`;
  if (expires !== undefined && expires < now - clockSkewSeconds) return 'signature has expired';
  if (timestamp !== undefined && timestamp > now + clockSkewSeconds) return 'signature is of the future';
  return undefined;
}

/** RFC 6376 section 6.1.2. */
function keyUnfit({ keyType, hashes, services }: PublicKey, signature: Signature): string | undefined {
  if (keyType !== signature.keyType) return `key is not for ${signature.keyType}`;
  if (hashes && !hashes.includes(signature.hash)) return `key is not for ${signature.hash}`;
  if (!services.includes('*') && !services.includes('email')) return 'key is not for mail';
  return undefined;
}
