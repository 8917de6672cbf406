/** Ask whether the client may send for the sender's domain. RFC 7208. */
import {
  boundedDns,
  checkSender,
  formatReceivedSpf,
  isClientKnown,
  type SenderCheck,
  type SpfQuestion,
  type SpfResult,
  spfAuthResults,
} from 'mailfilter/auth';
import {
  definePlugin,
  type HookAnswer,
  insertHeader,
  type Json,
  reject,
  type ScoredSymbol,
  type TransactionInput,
} from 'mailfilter/plugin';
import { refusalText } from './refusal-text.ts';

const action = { type: 'string', enum: ['mark', 'score', 'reject'] } as const;

export default definePlugin({
  name: 'spf',
  kind: 'verify',
  writes: ['header:Received-SPF'],
  options: {
    fail: {
      ...action,
      default: 'mark',
      description: 'What a fail does: the domain says that this client may not.',
    },
    softfail: { ...action, default: 'mark', description: 'What a softfail does.' },
    permerror: { ...action, default: 'mark', description: 'What a record does that cannot be used.' },
    heloFail: { ...action, default: 'mark', description: 'What a fail of the HELO name does.' },
    failScore: { type: 'number', default: 3, description: 'Points where `fail` or `heloFail` is score.' },
    softfailScore: { type: 'number', default: 1, description: 'Points where `softfail` is score.' },
    permerrorScore: { type: 'number', default: 1, description: 'Points where `permerror` is score.' },
    temperror: {
      type: 'string',
      enum: ['failure', 'mark'],
      default: 'failure',
      description: 'When DNS has no answer: the failure policy (onFailure) decides, or it is only noted.',
    },
    helo: { type: 'boolean', default: true, description: 'Ask about the HELO name, too.' },
    explanation: {
      type: 'boolean',
      default: true,
      description: "Tell a refused client the domain's own words, where they are short and plain.",
    },
    receivedSpf: { type: 'boolean', default: true, description: 'Add a Received-SPF field.' },
    dnsSeconds: {
      type: 'number',
      exclusiveMinimum: 0,
      default: 20,
      description: 'For all questions of one check; then it is a temperror.',
    },
  },
  hooks: {
    async mailFrom(input, { options, dns, clock, hostname, log, deadline }) {
      const question = questionOf(input, hostname, clock.now());
      if (question === undefined) return undefined;
      // Early enough to answer before the core gives up.
      const milliseconds = Math.min(options.dnsSeconds * 1000, deadline - clock.now() - 500);
      const check = await checkSender(question, boundedDns(dns, milliseconds), options);
      const { mailFrom, helo } = check;
      log('checked', { result: mailFrom.result, domain: mailFrom.domain, lookups: mailFrom.lookups });
      const temporary = [mailFrom, helo].find((each) => each?.result === 'temperror');
      if (temporary && options.temperror === 'failure') {
        throw new Error(`SPF of ${temporary.domain}: ${temporary.problem}`);
      }
      const answer: HookAnswer = {
        auth: spfAuthResults(check, question),
        result: resultOf(check),
        symbols: symbolsOf(check, options),
        ...(options.receivedSpf && {
          edits: [insertHeader(0, 'Received-SPF', formatReceivedSpf(check, question))],
        }),
      };
      const refused = refusedBy(check, options);
      if (refused === undefined) return answer;
      // RFC 7372 section 3.2: 5.7.23 is a failed SPF check, 5.7.24 one that ended in an error.
      const enhanced = refused.result === 'permerror' ? '5.7.24' : '5.7.23';
      return {
        ...answer,
        verdict: reject(550, enhanced, refusalText(refused, question, options.explanation)),
      };
    },
  },
});

type Action = 'mark' | 'score' | 'reject';
interface Policy {
  readonly fail: Action;
  readonly softfail: Action;
  readonly permerror: Action;
  readonly heloFail: Action;
  readonly failScore: number;
  readonly softfailScore: number;
  readonly permerrorScore: number;
}

/** Our own users and networks are known otherwise; without an address there is nothing to ask. */
function questionOf(
  { connection, session, envelope }: TransactionInput,
  receiver: string,
  now: number,
): SpfQuestion | undefined {
  const { remoteIp: ip, trusted, door } = connection;
  if (trusted || session.user !== undefined || door === 'submission' || !isClientKnown(connection))
    return undefined;
  return { ip, sender: envelope.sender, helo: session.helo, receiver, now };
}

/** What later plugins see: dmarc reads the first two. */
function resultOf({ mailFrom, helo }: SenderCheck): Json {
  const { result, domain, mechanism, problem } = mailFrom;
  return {
    result,
    domain,
    ...(mechanism !== undefined && { mechanism }),
    ...(problem !== undefined && { problem }),
    ...(helo !== undefined && { helo: { result: helo.result, domain: helo.domain } }),
  };
}

function refusedBy({ mailFrom, helo }: SenderCheck, policy: Policy): SpfResult | undefined {
  if (actionOn(mailFrom, policy) === 'reject') return mailFrom;
  return helo?.result === 'fail' && policy.heloFail === 'reject' ? helo : undefined;
}

function symbolsOf({ mailFrom, helo }: SenderCheck, policy: Policy): ScoredSymbol[] {
  const { failScore, softfailScore, permerrorScore, heloFail } = policy;
  const scores = { fail: failScore, softfail: softfailScore, permerror: permerrorScore };
  const symbols: ScoredSymbol[] = [];
  if (actionOn(mailFrom, policy) === 'score') {
    const word = mailFrom.result as keyof typeof scores;
    symbols.push({ name: `SPF_${word.toUpperCase()}`, score: scores[word] });
  }
  if (helo?.result === 'fail' && heloFail === 'score')
    symbols.push({ name: 'SPF_HELO_FAIL', score: failScore });
  return symbols;
}

function actionOn({ result }: SpfResult, policy: Policy): Action {
  return result === 'fail' || result === 'softfail' || result === 'permerror' ? policy[result] : 'mark';
}
