/** The one place that acts on the sum of all scores: greylist, mark, Junk, quarantine, reject; and that writes X-Spam-*. */
import { createHash } from 'node:crypto';
import {
  changeHeader,
  definePlugin,
  type HookContext,
  type Json,
  type MessageInput,
  proceed,
  quarantine,
  type RecipientResult,
  type Results,
  reject,
  reverseIp,
  tempfail,
  type Verdict,
} from 'mailfilter/plugin';
import { removeSpamFields, spamFieldEffects, spamFields } from './spam-fields.ts';
import { decide, reaches, type Thresholds, ThresholdTable } from './thresholds.ts';

const points = (description: string, preset?: number) =>
  ({ type: 'number', minimum: 0, description, ...(preset !== undefined && { default: preset }) }) as const;

export default definePlugin({
  name: 'policy',
  kind: 'mutate',
  reads: ['header:Subject'],
  writes: [...spamFieldEffects, 'header:Subject'],
  options: {
    thresholds: {
      type: 'object',
      default: {},
      additionalProperties: false,
      properties: {
        mark: points('From here on the header calls it spam. 0 here and below: never.', 5),
        junk: points('To the folder Junk, unless the user’s rules say where it goes.', 5),
        greylist: points('The sender is to come again, once.', 0),
        quarantine: points('Held for an operator.', 0),
        reject: points('Refused.', 15),
      },
      description: 'SpamAssassin points from which on something is done.',
    },
    users: {
      type: 'object',
      default: {},
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        properties: {
          mark: points('As above.'),
          junk: points('As above.'),
          greylist: points('As above.'),
          quarantine: points('As above.'),
          reject: points('As above.'),
        },
      },
      description: 'Thresholds that differ, by address or @domain of the recipient.',
    },
    exemptTrusted: {
      type: 'boolean',
      default: true,
      description: 'Only mark what users and trusted clients send.',
    },
    headers: {
      type: 'boolean',
      default: true,
      description: 'Write X-Spam-*; those that came with the message are removed in any case.',
    },
    report: {
      type: 'boolean',
      default: false,
      description: 'Write X-Spam-Report too: each rule with its points.',
    },
    subjectTag: { type: 'string', default: '', description: 'Put before the subject of spam: [SPAM].' },
    junkFolder: { type: 'string', minLength: 1, default: 'Junk', description: 'The folder for spam.' },
    greylistSeconds: {
      type: 'integer',
      minimum: 1,
      maximum: 86_400,
      default: 300,
      description: 'How long the sender is to wait.',
    },
  },
  setup: ({ options }) =>
    new ThresholdTable(
      options.thresholds as Thresholds,
      options.users as Record<string, Partial<Thresholds>>,
    ),
  hooks: {
    async message(input, context) {
      const { options, prepared: table, log } = context;
      const { score, symbols, results, session, connection, envelope } = input;
      const unscanned = unscannedBy(results);
      const scored = score !== 0 || symbols.length > 0 || wasScanned(results);
      const exempt = options.exemptTrusted && (connection.trusted || session.user !== undefined);
      const markingOf = (thresholds: Thresholds) => {
        const spam = reaches(score, thresholds.mark);
        const facts = { score, required: thresholds.mark, spam, symbols, unscanned, report: options.report };
        const tagged = spam && options.subjectTag !== '' ? [tagSubject(input, options.subjectTag)] : [];
        const forged = removeSpamFields((name) => input.message.headers.has(name));
        return [...forged, ...(options.headers && scored ? spamFields(facts) : []), ...tagged];
      };
      const verdictOf = async (thresholds: Thresholds): Promise<Verdict | undefined> =>
        exempt ? undefined : verdictFor(decide(score, thresholds), input, context);

      const recipients: Record<string, RecipientResult> = {};
      for (const { id, address } of envelope.recipients) {
        const own = table.of(address);
        if (own === table.site) continue;
        const differs = decide(score, own) !== decide(score, table.site);
        const marked = own.mark !== table.site.mark;
        if (!differs && !marked) continue;
        recipients[id] = {
          ...(differs && { verdict: (await verdictOf(own)) ?? proceed() }),
          ...(marked && { edits: markingOf(own) }),
        };
      }
      const verdict = await verdictOf(table.site);
      const spam = reaches(score, table.site.mark);
      log('sum', { score: round(score), spam, action: exempt ? 'exempt' : decide(score, table.site) });
      return {
        ...(verdict && { verdict }),
        edits: markingOf(table.site),
        ...(Object.keys(recipients).length > 0 && { recipients }),
        result: { score: round(score), spam, exempt, ...(unscanned.length > 0 && { unscanned }) },
      };
    },
    deliver({ results, recipient, user }, { options, prepared: table }) {
      const { score, exempt } = (results.policy ?? {}) as { score?: number; exempt?: boolean };
      if (score === undefined || exempt === true) return undefined;
      const ofAddress = table.of(recipient.address);
      const thresholds = ofAddress === table.site ? table.of(user) : ofAddress;
      if (!reaches(score, thresholds.junk)) return undefined;
      return { actions: [{ type: 'keepIn', mailbox: options.junkFolder, create: true }] };
    },
  },
});

type Context = Pick<HookContext, 'state' | 'clock'> & {
  readonly options: { readonly greylistSeconds: number };
};

async function verdictFor(
  decision: ReturnType<typeof decide>,
  input: MessageInput,
  context: Context,
): Promise<Verdict | undefined> {
  const { score } = input;
  switch (decision) {
    case 'reject':
      return reject(554, '5.7.1', `message looks like spam, score ${score.toFixed(1)}`);
    case 'quarantine':
      return quarantine(`spam, score ${score.toFixed(1)}`);
    case 'greylist':
      return (await mustComeAgain(input, context))
        ? tempfail(451, '4.7.1', 'greylisted, try again later')
        : undefined;
    case 'pass':
      return undefined;
  }
}

/** RFC 6647: a sender that queues comes again; from its network, to the same recipient. */
async function mustComeAgain(
  { connection, envelope }: MessageInput,
  { state, clock, options: { greylistSeconds } }: Context,
): Promise<boolean> {
  const parts = connection.remoteIp === '' ? [] : reverseIp(connection.remoteIp).split('.');
  // The /24 of an IPv4 address, the /64 of an IPv6 address.
  const network = parts.slice(parts.length === 4 ? 1 : 16).join('.');
  const to = envelope.recipients.map(({ address }) => address).sort();
  const text = JSON.stringify([network, envelope.sender.toLowerCase(), to]);
  const key = `grey/${createHash('sha256').update(text).digest('base64url')}`;
  const now = clock.now();
  if (await state.setIfAbsent(key, now, { ttlSeconds: 2 * 86_400 })) return true;
  const first = await state.get(key);
  return typeof first === 'number' && now - first < greylistSeconds * 1000;
}

function tagSubject({ message }: MessageInput, tag: string) {
  const subject = message.headers.get('Subject') ?? '';
  return changeHeader('Subject', 1, subject.startsWith(tag) ? subject : `${tag} ${subject}`.trim());
}

/** Scanners say of themselves whether they looked: `{ scanned }`. */
function unscannedBy(results: Results): string[] {
  return Object.entries(results).flatMap(([plugin, result]) => (scannedOf(result) === false ? [plugin] : []));
}

function wasScanned({ clamav: _, ...results }: Results): boolean {
  return Object.values(results).some((result) => scannedOf(result) === true);
}

function scannedOf(result: Json | undefined): boolean | undefined {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) return undefined;
  const { scanned } = result as { readonly [key: string]: Json };
  return typeof scanned === 'boolean' ? scanned : undefined;
}

function round(score: number): number {
  return Math.round(score * 100) / 100;
}
