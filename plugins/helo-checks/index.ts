/** What a client's HELO name and its address's names say of it. RFC 5321 section 4.1.1.1, RFC 1912 section 2.1. */
import { isClientKnown } from 'mailfilter/auth';
import { definePlugin, type HookAnswer, type Reverse, reject, reverseOf } from 'mailfilter/plugin';
import { judgeName, type NameFinding } from './helo-name.ts';

type Finding = NameFinding | 'noReverse' | 'unconfirmedReverse';

const action = (preset: 'off' | 'mark' | 'score' | 'reject', description: string) =>
  ({ type: 'string', enum: ['off', 'mark', 'score', 'reject'], default: preset, description }) as const;

export default definePlugin({
  name: 'helo-checks',
  kind: 'score',
  options: {
    ownName: action('reject', 'A stranger says it is this host, or one of the domains here.'),
    literalMismatch: action('score', "An address literal that is not the client's address."),
    bareAddress: action('score', 'An address without brackets.'),
    noDot: action('score', 'A name without a dot, or none at all.'),
    noReverse: action('score', "The client's address has no name (PTR)."),
    unconfirmedReverse: action('mark', "None of its names leads back to the client's address."),
    score: { type: 'number', default: 1.5, description: 'Points of each finding whose action is score.' },
  },
  hooks: {
    // Not at HELO: a client may yet authenticate, and says HELO again after STARTTLS.
    async mailFrom({ connection, session }, { options, dns, hostname, domains, log }) {
      const { remoteIp, trusted, door } = connection;
      if (trusted || session.user !== undefined || door === 'submission' || !isClientKnown(connection)) {
        return undefined;
      }
      const named = judgeName(session.helo, remoteIp, [hostname, ...domains]);
      const refusedByName = named !== undefined && options[named] === 'reject';
      const asks = options.noReverse !== 'off' || options.unconfirmedReverse !== 'off';
      const reverse = asks && !refusedByName ? await reverseOf(remoteIp, dns) : undefined;
      const findings = [named, findingOf(reverse)].flatMap((finding) =>
        finding !== undefined && options[finding] !== 'off' ? [finding] : [],
      );
      if (findings.length > 0) log('found', { findings, helo: session.helo });
      const answer: HookAnswer = {
        result: {
          findings,
          ...(reverse && { reverse: { names: reverse.names, confirmed: reverse.confirmed } }),
        },
        symbols: findings
          .filter((finding) => options[finding] === 'score')
          .map((finding) => ({ name: symbols[finding], score: options.score })),
      };
      const refusing = findings.find((finding) => options[finding] === 'reject');
      if (refusing === undefined) return answer;
      // RFC 7372 section 3.3: 5.7.25 is a failed check of the reverse names.
      const enhanced = refusing === 'noReverse' || refusing === 'unconfirmedReverse' ? '5.7.25' : '5.7.1';
      return { ...answer, verdict: reject(550, enhanced, texts[refusing]) };
    },
  },
});

function findingOf(reverse: Reverse | undefined): Finding | undefined {
  if (reverse === undefined || reverse.confirmed.length > 0) return undefined;
  return reverse.names.length === 0 ? 'noReverse' : 'unconfirmedReverse';
}

const symbols: Readonly<Record<Finding, string>> = {
  ownName: 'HELO_OWN_NAME',
  literalMismatch: 'HELO_LITERAL_MISMATCH',
  bareAddress: 'HELO_BARE_ADDRESS',
  noDot: 'HELO_NO_DOT',
  noReverse: 'RDNS_NONE',
  unconfirmedReverse: 'RDNS_UNCONFIRMED',
};
const texts: Readonly<Record<Finding, string>> = {
  ownName: 'your HELO name is one of ours',
  literalMismatch: 'your HELO address is not the one you connect from',
  bareAddress: 'your HELO name is an address without brackets',
  noDot: 'your HELO name is not fully qualified',
  noReverse: 'your address has no name in DNS',
  unconfirmedReverse: 'no name of your address leads back to it',
};
