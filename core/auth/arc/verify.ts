/** Verifies the chain of ARC sets. RFC 8617 section 5.2. */
import { type AuthResult, parseAuthenticationResults } from '../../mail/authentication-results.ts';
import { checkBodies, checkHeader, type Judgement, verifyOctets } from '../dkim/check-signature.ts';
import { fetchPublicKey } from '../dkim/public-key.ts';
import { SignedHeader, withoutSignature } from '../dkim/signed-header.ts';
import { type AuthMessage, type DkimOptions, signaturePolicy } from '../dkim/verify.ts';
import { type AuthDns, DnsTrouble } from '../dns.ts';
import {
  type ArcSeal,
  type ArcSet,
  arcFieldNames,
  type BrokenChain,
  parseMessageSignature,
  parseSeal,
  readSets,
} from './sets.ts';

/** `temperror` is no word of RFC 8617: DNS had no answer, and nothing is known. */
export type ChainWord = 'none' | 'pass' | 'fail' | 'temperror';

export interface ArcResult {
  readonly result: ChainWord;
  /** Why not. */
  readonly reason: string;
  /** Sets that were found. */
  readonly instances: number;
  /** Domains of the seals (d=), from the first to the last; only of a chain that passes. */
  readonly sealers: readonly string[];
  /** What the first of them found when the message came to it; only of a chain that passes. */
  readonly firstResults: readonly AuthResult[];
  /** The last seal says that the chain was broken before: none is to be added. */
  readonly sealedAsFailed: boolean;
}

/** @param options as for DKIM */
export async function verifyArc(
  message: AuthMessage,
  dns: AuthDns,
  options: DkimOptions,
): Promise<ArcResult> {
  const header = new SignedHeader(message.headers);
  const none: ArcResult = {
    result: 'none',
    reason: '',
    instances: 0,
    sealers: [],
    firstResults: [],
    sealedAsFailed: false,
  };
  if (header.hasNone(...arcFieldNames)) return none;
  const sets = readSets(header);
  if ('problem' in sets) return { ...none, result: 'fail', reason: sets.problem };
  const instances = sets.length;
  const seals = readSeals(sets);
  if ('problem' in seals) {
    const last = parseSeal(sets.at(-1)!);
    const sealedAsFailed = 'cv' in last && last.cv === 'fail';
    return { ...none, instances, result: 'fail', reason: seals.problem, sealedAsFailed };
  }
  const judgement = await checkChain(header, sets, seals, message, dns, options);
  if (judgement.result !== 'pass') return { ...none, instances, ...judgement };
  const sealers = seals.map(({ domain }) => domain);
  return { ...none, result: 'pass', instances, sealers, firstResults: resultsOf(sets[0]!) };
}

/** RFC 8617 section 10.2; `header.oldest-pass` is left out, since only the last set's signature is verified. */
export function arcAuthResult({ result, reason, instances, sealers }: ArcResult): AuthResult {
  return {
    method: 'arc',
    result,
    ...(reason !== '' && { reason }),
    ...(result === 'pass' && { properties: { 'header.d': sealers.at(-1)!, 'header.i': String(instances) } }),
  };
}

/** The seals in order, or what is wrong with one of them before anything is asked of DNS. */
function readSeals(sets: readonly ArcSet[]): ArcSeal[] | BrokenChain {
  const seals: ArcSeal[] = [];
  for (const set of sets) {
    const seal = parseSeal(set);
    if ('problem' in seal) return seal;
    // The first sealer saw no chain, the others one that passed.
    if (seal.cv !== (set.instance === 1 ? 'none' : 'pass'))
      return { problem: `ARC-Seal ${set.instance} says cv=${seal.cv}` };
    seals.push(seal);
  }
  return seals;
}

type ChainJudgement = Pick<ArcResult, 'result' | 'reason'>;

async function checkChain(
  header: SignedHeader,
  sets: readonly ArcSet[],
  seals: readonly ArcSeal[],
  message: AuthMessage,
  dns: AuthDns,
  options: DkimOptions,
): Promise<ChainJudgement> {
  const signed = await checkMessageSignature(header, sets.at(-1)!, message, dns, options);
  if (signed.result !== 'pass') return signed;
  // From the last to the first: that is the order in which they can have been broken.
  for (let index = seals.length - 1; index >= 0; index--) {
    const judgement = await checkSeal(header, sets.slice(0, index + 1), seals[index]!, dns, options);
    if (judgement.result !== 'pass') return judgement;
  }
  return { result: 'pass', reason: '' };
}

/** The last set's signature covers the message as it came to us. */
async function checkMessageSignature(
  header: SignedHeader,
  set: ArcSet,
  message: AuthMessage,
  dns: AuthDns,
  options: DkimOptions,
): Promise<ChainJudgement> {
  const signature = parseMessageSignature(set);
  if ('problem' in signature) return { result: 'fail', reason: signature.problem };
  const checked = await checkHeader(header, set.messageSignature, signature, dns);
  if (!('key' in checked)) return chainJudgement(checked, `ARC-Message-Signature ${set.instance}`);
  const [judgement] = await checkBodies([checked], () => message.body(), signaturePolicy(options));
  return chainJudgement(judgement!, `ARC-Message-Signature ${set.instance}`);
}

async function checkSeal(
  header: SignedHeader,
  sets: readonly ArcSet[],
  seal: ArcSeal,
  dns: AuthDns,
  options: DkimOptions,
): Promise<ChainJudgement> {
  const name = `ARC-Seal ${sets.length}`;
  try {
    const key = await fetchPublicKey(seal, dns);
    if ('problem' in key) return { result: 'fail', reason: `${name}: ${key.problem}` };
    if (key.keyType !== seal.keyType)
      return { result: 'fail', reason: `${name}: key is not for ${seal.keyType}` };
    if (key.keyType === 'rsa' && key.bits < signaturePolicy(options).rsaBitsMin)
      return { result: 'fail', reason: `${name}: key of ${key.bits} bits is too short` };
    return verifyOctets(sealedText(header, sets), seal, key)
      ? { result: 'pass', reason: '' }
      : { result: 'fail', reason: `${name}: signature did not verify` };
  } catch (error) {
    if (!(error instanceof DnsTrouble)) throw error;
    return { result: 'temperror', reason: `${name}: key is not available now` };
  }
}

/** What a seal covers: all sets up to its own, itself last and without its signature. RFC 8617 section 5.1.1. */
export function sealedText(header: SignedHeader, sets: readonly ArcSet[]): string {
  return sets
    .flatMap(({ results, messageSignature, seal }, index) => {
      const last = index === sets.length - 1;
      const sealed = last ? { ...seal, text: withoutSignature(seal.text) } : seal;
      return [results, messageSignature, sealed].map((field) => header.canonical(field, 'relaxed'));
    })
    .join('\r\n');
}

function chainJudgement({ result, reason }: Judgement, name: string): ChainJudgement {
  if (result === 'pass') return { result, reason: '' };
  return { result: result === 'temperror' ? result : 'fail', reason: `${name}: ${reason}` };
}

/** The results that an ARC-Authentication-Results field holds after its instance. */
function resultsOf({ results }: ArcSet): readonly AuthResult[] {
  const value = results.value.slice(results.value.indexOf(';') + 1);
  return parseAuthenticationResults(value)?.results ?? [];
}
