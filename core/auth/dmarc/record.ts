/** Reads a DMARC policy record. RFC 9989 sections 4.7 and 4.8; pct= is of RFC 7489. */
import { dmarcLimits } from '../../base/limits/auth.ts';

export type DmarcPolicy = 'none' | 'quarantine' | 'reject';
export type AlignmentMode = 'relaxed' | 'strict';

export interface DmarcRecord {
  /**
   * False where there is no policy that can be read, and nobody to report to: the record has its place in the tree,
   * and nothing else comes of it. RFC 9989 section 4.10.1.
   */
  readonly usable: boolean;
  /** For the domain itself; `none` where the record only asks for reports. */
  readonly policy: DmarcPolicy;
  /** sp= and np=, for subdomains that exist and that do not. */
  readonly subdomainPolicy?: DmarcPolicy;
  readonly nonexistentPolicy?: DmarcPolicy;
  readonly dkimAlignment: AlignmentMode;
  readonly spfAlignment: AlignmentMode;
  /** psd= */
  readonly publicSuffix: 'y' | 'n' | 'u';
  /** t=y: the policy is to be applied one step milder. */
  readonly testing: boolean;
  /** Addresses of rua=mailto:. */
  readonly reportTo: readonly string[];
  /** pct=, 100 where it is absent. */
  readonly percent: number;
}

/** True for a TXT record that says it is of DMARC. */
export function isDmarcRecord(text: string): boolean {
  return /^v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)/.test(text);
}

/** The record; undefined for what is none of DMARC. */
export function parseDmarcRecord(text: string): DmarcRecord | undefined {
  if (!isDmarcRecord(text)) return undefined;
  const tags = readTags(text);
  const reportTo = readAddresses(tags.get('rua') ?? '');
  const policies = readPolicies(tags);
  return {
    usable: policies !== undefined || reportTo.length > 0,
    ...(policies ?? { policy: 'none' }),
    dkimAlignment: tags.get('adkim')?.toLowerCase() === 's' ? 'strict' : 'relaxed',
    spfAlignment: tags.get('aspf')?.toLowerCase() === 's' ? 'strict' : 'relaxed',
    publicSuffix: readPublicSuffix(tags.get('psd')),
    testing: tags.get('t')?.toLowerCase() === 'y',
    reportTo,
    percent: readPercent(tags.get('pct')),
  };
}

/** What is no tag is passed over, as unknown tags are (section 4.7); the first of a name counts. */
function readTags(text: string): Map<string, string> {
  const tags = new Map<string, string>();
  for (const spec of text.split(';')) {
    const equals = spec.indexOf('=');
    const name = spec.slice(0, Math.max(equals, 0)).trim().toLowerCase();
    if (name !== '' && !tags.has(name)) tags.set(name, spec.slice(equals + 1).trim());
  }
  return tags;
}

/** p=, sp= and np=; undefined where p= is missing or one of them is no policy. */
function readPolicies(
  tags: ReadonlyMap<string, string>,
): Pick<DmarcRecord, 'policy' | 'subdomainPolicy' | 'nonexistentPolicy'> | undefined {
  const [policy, subdomainPolicy, nonexistentPolicy] = ['p', 'sp', 'np'].map((name) =>
    tags.get(name)?.toLowerCase(),
  );
  if (!isPolicy(policy)) return undefined;
  if (subdomainPolicy !== undefined && !isPolicy(subdomainPolicy)) return undefined;
  if (nonexistentPolicy !== undefined && !isPolicy(nonexistentPolicy)) return undefined;
  return {
    policy,
    ...(subdomainPolicy !== undefined && { subdomainPolicy }),
    ...(nonexistentPolicy !== undefined && { nonexistentPolicy }),
  };
}

function isPolicy(word: string | undefined): word is DmarcPolicy {
  return word === 'none' || word === 'quarantine' || word === 'reject';
}

function readPublicSuffix(text: string | undefined): DmarcRecord['publicSuffix'] {
  const word = text?.toLowerCase();
  return word === 'y' || word === 'n' ? word : 'u';
}

/** `mailto:` URIs; a size limit of RFC 7489 (`!10m`) is passed over. */
function readAddresses(text: string): string[] {
  return text
    .split(',')
    .flatMap((uri) => /^mailto:([^!?]+@[^!?]+)/i.exec(uri.trim())?.[1] ?? [])
    .map(decodeUri)
    .slice(0, dmarcLimits.reportAddressesMax);
}

/** RFC 6068 section 2; what is no escape stays. */
function decodeUri(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function readPercent(text: string | undefined): number {
  return text !== undefined && /^\d{1,3}$/.test(text) ? Math.min(100, Number(text)) : 100;
}
