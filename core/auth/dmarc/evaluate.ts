/** Does the author's domain answer for a message? Alignment with SPF and DKIM, and the policy where there is none. RFC 9989 sections 4.4 and 5. */
import type { AuthResult } from '../../mail/authentication-results.ts';
import { isWithin } from '../dkim/signature.ts';
import { type AuthDns, askDns, DnsTrouble } from '../dns.ts';
import { type DmarcMode, type FoundPolicy, PolicyTree } from './discovery.ts';
import type { AlignmentMode, DmarcPolicy, DmarcRecord } from './record.ts';

/** RFC 8601 section 2.7.3 and RFC 7489 section 11.2. */
export type DmarcWord = 'pass' | 'fail' | 'none' | 'temperror' | 'permerror';

/** What SPF or DKIM found for one domain, in the words of RFC 8601. */
export interface DomainResult {
  readonly domain: string;
  readonly result: string;
}

export interface DmarcQuestion {
  /** Domain of the From field, A-labels in lower case. */
  readonly author: string;
  /** Of the reverse-path, of the HELO name where that is null. */
  readonly spf?: DomainResult;
  readonly dkim: readonly DomainResult[];
  readonly mode: DmarcMode;
}

export interface DmarcResult {
  readonly result: DmarcWord;
  readonly author: string;
  /** Which of them passed for a domain that is aligned. */
  readonly aligned: { readonly spf: boolean; readonly dkim: boolean };
  /** What the domain wants done with mail that fails, after sp=, np= and t=. */
  readonly policy: DmarcPolicy;
  /** Where the record was found, and the record; absent without one. */
  readonly found?: FoundPolicy;
  /** t=y made the policy milder. */
  readonly testing: boolean;
  readonly problem?: string;
}

/** Never throws for what DNS says. */
export async function evaluateDmarc(question: DmarcQuestion, dns: AuthDns): Promise<DmarcResult> {
  const tree = new PolicyTree(dns, question.mode);
  const unknown = {
    author: question.author,
    aligned: { spf: false, dkim: false },
    policy: 'none',
    testing: false,
  } as const;
  try {
    const found = await tree.policyFor(question.author);
    if (!found?.record.usable) return { ...unknown, result: 'none' };
    const judged = await judge(question, found, tree);
    // Mail that passes shows that its domain exists.
    const policy = await policyOf(question.author, found, judged.result !== 'pass', dns);
    return { ...judged, author: question.author, found, ...policy };
  } catch (error) {
    if (!(error instanceof DnsTrouble)) throw error;
    return { ...unknown, result: 'temperror', problem: error.message };
  }
}

/** RFC 8601 section 2.7.3; `policy.dmarc` is what was done, as the IANA registry has it. */
export function dmarcAuthResult({ result, author, problem }: DmarcResult, applied: DmarcPolicy): AuthResult {
  return {
    method: 'dmarc',
    result,
    ...(problem !== undefined && { reason: problem.replace(/[\0-\x1f\x7f]/g, '?').slice(0, 300) }),
    properties: { 'header.from': author, ...(result === 'fail' && { 'policy.dmarc': applied }) },
  };
}

/** One step milder. RFC 9989 section 4.7, t=. */
export function milder(policy: DmarcPolicy): DmarcPolicy {
  return policy === 'reject' ? 'quarantine' : 'none';
}

async function policyOf(
  author: string,
  { domain, record }: FoundPolicy,
  mayBeMissing: boolean,
  dns: AuthDns,
): Promise<Pick<DmarcResult, 'policy' | 'testing'>> {
  const wanted = domain === author ? record.policy : await subdomainPolicy(author, record, mayBeMissing, dns);
  return { policy: record.testing ? milder(wanted) : wanted, testing: record.testing };
}

async function subdomainPolicy(
  author: string,
  record: DmarcRecord,
  mayBeMissing: boolean,
  dns: AuthDns,
): Promise<DmarcPolicy> {
  const existing = record.subdomainPolicy ?? record.policy;
  const { nonexistentPolicy = existing } = record;
  if (!mayBeMissing || nonexistentPolicy === existing) return existing;
  return (await exists(author, dns)) ? existing : nonexistentPolicy;
}

/**
 * A name that exists without any records, or only above others, is no missing one. RFC 9091 (np=), RFC 8020.
 * A name that cannot be asked for cannot exist.
 */
async function exists(name: string, dns: AuthDns): Promise<boolean> {
  return (await askDns(async () => ((await dns.exists(name)) ? [name] : []))).length > 0;
}

async function judge(
  { author, spf, dkim }: DmarcQuestion,
  { record }: FoundPolicy,
  tree: PolicyTree,
): Promise<Pick<DmarcResult, 'result' | 'aligned' | 'problem'>> {
  const [bySpf, byDkim] = await Promise.all([
    best(spf === undefined ? [] : [spf], author, record.spfAlignment, tree),
    best(dkim, author, record.dkimAlignment, tree),
  ]);
  const aligned = { spf: bySpf === 'pass', dkim: byDkim === 'pass' };
  if (aligned.spf || aligned.dkim) return { result: 'pass', aligned };
  // What might have passed is no fail.
  if (bySpf === 'temperror' || byDkim === 'temperror')
    return { result: 'temperror', aligned, problem: 'SPF or DKIM has no result for want of DNS' };
  return { result: 'fail', aligned };
}

/** The best word of those whose domain is aligned with the author's. */
async function best(
  results: readonly DomainResult[],
  author: string,
  mode: AlignmentMode,
  tree: PolicyTree,
): Promise<'pass' | 'temperror' | 'fail'> {
  let word: 'pass' | 'temperror' | 'fail' = 'fail';
  for (const { domain, result } of results) {
    if (result !== 'pass' && result !== 'temperror') continue;
    const aligned = await isAligned(domain, author, mode, tree);
    if (aligned === undefined || (aligned && result === 'temperror')) word = 'temperror';
    else if (aligned) return 'pass';
  }
  return word;
}

/** RFC 9989 section 4.4; undefined when DNS does not say. */
async function isAligned(
  domain: string,
  author: string,
  mode: AlignmentMode,
  tree: PolicyTree,
): Promise<boolean | undefined> {
  if (domain === author) return true;
  if (mode === 'strict') return false;
  try {
    const organizational = await tree.organizationalDomain(author);
    // A domain outside of it needs no walk of its own.
    return isWithin(domain, organizational) && (await tree.organizationalDomain(domain)) === organizational;
  } catch (error) {
    if (!(error instanceof DnsTrouble)) throw error;
    return undefined;
  }
}
