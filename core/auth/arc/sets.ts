/** The ARC sets of a message: three fields for each server that handled it. RFC 8617 sections 4.1 and 4.2. */
import { arcSetsMax } from '../../base/limits/auth.ts';
import { isSelector, parseSignature, readDomain, type Signature } from '../dkim/signature.ts';
import type { SignedField, SignedHeader } from '../dkim/signed-header.ts';
import { decodeBase64, parseTagList, type TagList } from '../tag-list.ts';

export interface ArcSeal
  extends Pick<Signature, 'algorithm' | 'keyType' | 'hash' | 'signature' | 'domain' | 'selector'> {
  readonly cv: 'none' | 'pass' | 'fail';
}

export interface ArcSet {
  readonly instance: number;
  readonly results: SignedField;
  readonly messageSignature: SignedField;
  readonly seal: SignedField;
}

/** A chain that is broken in its form, and why. */
export interface BrokenChain {
  readonly problem: string;
}

export const arcFieldNames = ['arc-authentication-results', 'arc-message-signature', 'arc-seal'] as const;

/** The sets from the first to the last; none at all for a message that has no field of ARC. */
export function readSets(header: SignedHeader): ArcSet[] | BrokenChain {
  const [results, signatures, seals] = arcFieldNames.map((name) => byInstance(header.all(name), name));
  if (!results || !signatures || !seals)
    return { problem: 'an instance is missing, not a number, or there twice' };
  const count = Math.max(results.size, signatures.size, seals.size);
  if (count > arcSetsMax) return { problem: `more than ${arcSetsMax} sets` };
  const sets: ArcSet[] = [];
  for (let instance = 1; instance <= count; instance++) {
    const [result, messageSignature, seal] = [
      results.get(instance),
      signatures.get(instance),
      seals.get(instance),
    ];
    if (!result || !messageSignature || !seal) return { problem: `set ${instance} is not whole` };
    sets.push({ instance, results: result, messageSignature, seal });
  }
  return sets;
}

/** RFC 8617 section 4.1.2; the signature of a message, as DKIM has it. */
export function parseMessageSignature({ messageSignature }: ArcSet): Signature | BrokenChain {
  const tags = parseTagList(messageSignature.value);
  const signature = tags && parseSignature(tags);
  if (!signature || !('domain' in signature))
    return { problem: `ARC-Message-Signature: ${signature ? signature.reason : 'no list of tags'}` };
  if (signature.hash === 'sha1') return { problem: 'ARC-Message-Signature: rsa-sha1 is not allowed' };
  const names = signature.signedNames.map((name) => name.toLowerCase());
  if (names.includes('arc-seal')) return { problem: 'ARC-Message-Signature covers ARC-Seal' };
  if (!names.includes('from')) return { problem: 'ARC-Message-Signature does not cover From' };
  return signature;
}

/** RFC 8617 section 4.1.3. */
export function parseSeal({ seal, instance }: ArcSet): ArcSeal | BrokenChain {
  const tags = parseTagList(seal.value);
  const read = tags && readSeal(tags);
  return read ?? { problem: `ARC-Seal ${instance} is malformed` };
}

function readSeal(tags: TagList): ArcSeal | undefined {
  const algorithm = tags.get('a')?.toLowerCase();
  const keyType = algorithm === 'rsa-sha256' ? 'rsa' : algorithm === 'ed25519-sha256' ? 'ed25519' : undefined;
  const signature = decodeBase64(tags.get('b') ?? '');
  const cv = tags.get('cv')?.toLowerCase();
  const domain = readDomain(tags.get('d') ?? '');
  const selector = tags.get('s') ?? '';
  const time = tags.get('t');
  if (algorithm === undefined || keyType === undefined || signature === undefined || domain === undefined)
    return undefined;
  if (!isSelector(selector) || (cv !== 'none' && cv !== 'pass' && cv !== 'fail')) return undefined;
  // h= would say that something else is sealed. RFC 8617 section 4.1.3
  if (tags.has('h') || (time !== undefined && !/^\d{1,15}$/.test(time))) return undefined;
  return { algorithm, keyType, hash: 'sha256', signature, domain, selector, cv };
}

/** Undefined where a field has no instance, or shares it with another. */
function byInstance(fields: readonly SignedField[], name: string): Map<number, SignedField> | undefined {
  const found = new Map<number, SignedField>();
  for (const field of fields) {
    const instance =
      name === 'arc-authentication-results' ? resultsInstance(field.value) : taggedInstance(field.value);
    if (instance === undefined || found.has(instance)) return undefined;
    found.set(instance, field);
  }
  return found;
}

/** RFC 8617 section 4.1.1: `i=1;` stands before the results. */
function resultsInstance(value: string): number | undefined {
  return readInstance(/^\s*i\s*=\s*(\d+)\s*;/.exec(value)?.[1]);
}

function taggedInstance(value: string): number | undefined {
  return readInstance(parseTagList(value)?.get('i'));
}

function readInstance(text: string | undefined): number | undefined {
  return text !== undefined && /^[1-9]\d{0,2}$/.test(text) ? Number(text) : undefined;
}
