/** Ask the author's domain what it wants done with mail that it does not answer for. RFC 9989. */
import { createHash } from 'node:crypto';
import {
  boundedDns,
  type DmarcMode,
  type DmarcPolicy,
  type DmarcResult,
  dmarcAuthResult,
  evaluateDmarc,
  isClientKnown,
} from 'mailfilter/auth';
import {
  definePlugin,
  type HookAnswer,
  type HookContext,
  type IpMatcher,
  ipMatcher,
  type MessageInput,
  quarantine,
  reject,
} from 'mailfilter/plugin';
import { authorDomains } from './author.ts';
import { type Inputs, readInputs } from './inputs.ts';
import { type Override, overrideOf } from './override.ts';
import { countForReport } from './report.ts';

export default definePlugin({
  name: 'dmarc',
  kind: 'verify',
  reads: ['header:From'],
  options: {
    mode: {
      type: 'string',
      enum: ['rfc9989', 'rfc7489'],
      default: 'rfc9989',
      description:
        'How domains that belong together are found: by the DNS tree walk, or by the public suffix list.',
    },
    reject: {
      type: 'string',
      enum: ['reject', 'quarantine', 'mark'],
      default: 'reject',
      description: 'What becomes of mail whose domain wants it rejected.',
    },
    quarantine: {
      type: 'string',
      enum: ['junk', 'hold', 'mark'],
      default: 'junk',
      description:
        "What becomes of mail that is to be quarantined: into the recipient's Junk, held for an operator, or noted.",
    },
    unreadableFrom: {
      type: 'string',
      enum: ['reject', 'quarantine', 'mark'],
      default: 'quarantine',
      description: 'What becomes of mail whose author cannot be told: From without a domain, or with many.',
    },
    lists: {
      type: 'array',
      items: { type: 'string' },
      description: 'Domains of mailing lists: a pass of SPF or DKIM for one of them overrides the policy.',
    },
    forwarders: {
      type: 'array',
      items: { type: 'string' },
      description: 'Addresses or networks of hosts that forward mail to us: they override the policy.',
    },
    temperror: {
      type: 'string',
      enum: ['failure', 'mark'],
      default: 'failure',
      description:
        'When DNS has no answer and the policy could matter: onFailure decides, or it is only noted.',
    },
    reports: {
      type: 'boolean',
      default: false,
      description: 'Count what aggregate reports need, and mail them daily.',
    },
    dnsSeconds: {
      type: 'number',
      exclusiveMinimum: 0,
      default: 20,
      description: 'For all questions of one message; then the result is a temperror.',
    },
  },
  setup: ({ options }) => ({
    forwarders: ipMatcher(options.forwarders),
    lists: options.lists.map((domain) => domain.toLowerCase()),
  }),
  hooks: {
    async message(input, context) {
      if (isTrusted(input)) return undefined;
      const { options, prepared, log } = context;
      const inputs = readInputs(input);
      const authors = authorDomains(input.message.headers.all('From'));
      if (authors === undefined) return unreadable(options.unreadableFrom);
      // Nobody's name is used, so that nobody's policy is asked.
      if (authors.length === 0) return noAuthor;
      const result = await worst(authors, inputs, context);
      log('evaluated', { author: result.author, result: result.result, policy: result.policy });
      if (
        result.result === 'temperror' &&
        options.temperror === 'failure' &&
        result.found?.record.policy !== 'none'
      ) {
        throw new Error(`DMARC of ${result.author}: ${result.problem}`);
      }
      const override = overrideOf(result, input, inputs, prepared);
      const applied = appliedPolicy(result, override, input, context);
      if (options.reports) await countForReport({ input, inputs, result, override, applied }, context);
      return answerOf(result, override, applied, options.quarantine);
    },
  },
});

interface DmarcSettings {
  readonly mode: DmarcMode;
  readonly reject: 'reject' | 'quarantine' | 'mark';
  readonly quarantine: 'junk' | 'hold' | 'mark';
  readonly dnsSeconds: number;
}

/** What setup makes. */
interface Prepared {
  readonly forwarders: IpMatcher;
  readonly lists: readonly string[];
}
type Context = HookContext<DmarcSettings, Prepared>;

/** Our users and networks are known otherwise. */
function isTrusted({ connection, session }: MessageInput): boolean {
  return connection.trusted || session.user !== undefined || connection.door === 'submission';
}

/** Of several authors each must answer for the message: the worst result holds. RFC 9989 section 11.5. */
async function worst(
  authors: readonly string[],
  { spf, dkim, incomplete }: Inputs,
  { options, dns, clock, deadline }: Context,
): Promise<DmarcResult> {
  const bounded = boundedDns(dns, Math.min(options.dnsSeconds * 1000, deadline - clock.now() - 500));
  const results = await Promise.all(
    authors.map((author) => {
      // What was not checked might have passed: that is no fail.
      const known = incomplete ? [...dkim, { domain: author, result: 'temperror' }] : dkim;
      return evaluateDmarc({ author, spf, dkim: known, mode: options.mode }, bounded);
    }),
  );
  return results.reduce((left, right) => (severity(right) > severity(left) ? right : left));
}

function severity({ result, policy }: DmarcResult): number {
  if (result === 'pass') return 0;
  if (result !== 'fail') return result === 'none' ? 1 : 2;
  return 3 + ['none', 'quarantine', 'reject'].indexOf(policy);
}

/** What is done in the end: never more than the domain wants, and than the config lets it have. */
function appliedPolicy(
  { result, policy, found }: DmarcResult,
  override: Override | undefined,
  { connection, id }: MessageInput,
  { options }: Context,
): DmarcPolicy {
  // Without a known client there was no SPF: that DKIM alone does not pass is no reason to act.
  if (result !== 'fail' || override !== undefined || !isClientKnown(connection)) return 'none';
  // RFC 7489 section 6.6.4; a message is always in the same part.
  const sampled = options.mode === 'rfc9989' || sample(id) < (found?.record.percent ?? 100);
  if (policy === 'reject' && options.reject === 'reject' && sampled) return 'reject';
  const wanted = policy === 'reject' ? options.reject !== 'mark' : policy === 'quarantine' && sampled;
  return wanted && options.quarantine !== 'mark' ? 'quarantine' : 'none';
}

function sample(id: string): number {
  return createHash('sha256').update(id).digest().readUInt32BE(0) % 100;
}

function answerOf(
  result: DmarcResult,
  override: Override | undefined,
  applied: DmarcPolicy,
  how: DmarcSettings['quarantine'],
): HookAnswer {
  const answer: HookAnswer = {
    auth: [dmarcAuthResult(result, applied)],
    result: {
      result: result.result,
      domain: result.author,
      policy: result.policy,
      disposition: applied,
      ...(override !== undefined && { override: override.type }),
    },
  };
  // RFC 7372 section 3.2: 5.7.26, several checks failed.
  if (applied === 'reject')
    return { ...answer, verdict: reject(550, '5.7.26', `refused by the DMARC policy of ${result.author}`) };
  if (applied === 'quarantine' && how === 'hold')
    return { ...answer, verdict: quarantine(`DMARC policy of ${result.author}`) };
  return answer;
}

const noAuthor: HookAnswer = {
  auth: [{ method: 'dmarc', result: 'none', reason: 'no From field' }],
  result: { result: 'none', domain: '', policy: 'none', disposition: 'none' },
};

/** Nobody answers for a message whose author cannot be told. */
function unreadable(action: 'reject' | 'quarantine' | 'mark'): HookAnswer {
  const reason = 'From names no author that can be told';
  const applied = action === 'mark' ? 'none' : action;
  const answer: HookAnswer = {
    auth: [{ method: 'dmarc', result: 'permerror', reason, properties: { 'policy.dmarc': applied } }],
    result: { result: 'permerror', domain: '', policy: 'none', disposition: applied },
  };
  return action === 'reject' ? { ...answer, verdict: reject(550, '5.7.1', reason) } : answer;
}
