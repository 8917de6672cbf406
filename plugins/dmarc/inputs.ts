/** What the plugins spf, dkim-verify and arc left. */
import { type DomainResult, isClientKnown } from 'mailfilter/auth';
import type { MessageInput } from 'mailfilter/plugin';

export interface SignatureInput extends DomainResult {
  readonly selector: string;
}

export interface Inputs {
  readonly spf?: DomainResult;
  readonly dkim: readonly SignatureInput[];
  /** SPF or DKIM was not checked, or its plugin failed: what they would have said is not known. */
  readonly incomplete: boolean;
  /** A chain whose sealers are all trusted, of mail that had passed DMARC when the first of them got it. */
  readonly arcVouches: boolean;
}

export function readInputs({ results, connection }: MessageInput): Inputs {
  const spf = results.spf as Partial<DomainResult> | undefined;
  const dkim = results['dkim-verify'] as { signatures?: readonly SignatureInput[] } | undefined;
  const arc = results.arc as { trusted?: boolean; dmarc?: string } | undefined;
  return {
    ...(spf?.domain !== undefined &&
      spf.result !== undefined && { spf: { domain: spf.domain, result: spf.result } }),
    dkim: dkim?.signatures ?? [],
    // Without a known client there is no SPF.
    incomplete: dkim === undefined || (spf === undefined && isClientKnown(connection)),
    arcVouches: arc?.trusted === true && arc.dmarc === 'pass',
  };
}
