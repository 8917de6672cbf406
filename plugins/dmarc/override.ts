/** When something milder is done than the domain wants: forwarders and lists that we know. RFC 9989 section 5.4, RFC 9990 section 3.1.1.9. */
import type { DmarcResult, OverrideType } from 'mailfilter/auth';
import type { IpMatcher, MessageInput } from 'mailfilter/plugin';
import type { Inputs } from './inputs.ts';

export interface Override {
  readonly type: OverrideType;
  readonly comment?: string;
}

/** What the operator trusts. */
export interface Trust {
  readonly forwarders: IpMatcher;
  /** In lower case. */
  readonly lists: readonly string[];
}

/** Undefined where nothing speaks for a message that failed. */
export function overrideOf(
  { result }: DmarcResult,
  { connection }: MessageInput,
  { spf, dkim, arcVouches }: Inputs,
  { forwarders, lists }: Trust,
): Override | undefined {
  if (result !== 'fail') return undefined;
  if (forwarders.matches(connection.remoteIp)) return { type: 'trusted_forwarder' };
  if (arcVouches) return { type: 'local_policy', comment: 'arc=pass' };
  const passing = [...(spf === undefined ? [] : [spf]), ...dkim].filter((each) => each.result === 'pass');
  const list = passing.find(({ domain }) => lists.includes(domain));
  return list && { type: 'mailing_list', comment: list.domain };
}
