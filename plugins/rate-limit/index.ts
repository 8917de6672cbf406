/** Hold back clients, users and sender domains that send more than their share, over a sliding window. RFC 5321 section 4.2.1. */
import {
  definePlugin,
  type HookContext,
  type HookResult,
  reject,
  type TransactionInput,
  tempfail,
} from 'mailfilter/plugin';
import { type Limit, readLimits, type Subject, subjectOf } from './limit.ts';
import { countIn } from './sliding-window.ts';

type Context = HookContext<{ readonly exemptTrusted: boolean }, readonly Limit[]>;

export default definePlugin({
  name: 'rate-limit',
  kind: 'score',
  options: {
    limits: {
      type: 'array',
      minItems: 1,
      maxItems: 50,
      items: {
        type: 'object',
        properties: {
          per: { type: 'string', enum: ['address', 'network', 'user', 'senderDomain'] },
          count: {
            type: 'string',
            enum: ['messages', 'recipients'],
            description: 'Default: messages, counted at MAIL; recipients are counted at RCPT.',
          },
          max: { type: 'integer', minimum: 1, maximum: 1_000_000_000 },
          seconds: { type: 'integer', minimum: 1, maximum: 2_592_000 },
          action: {
            type: 'string',
            enum: ['tempfail', 'reject', 'score', 'mark'],
            description: 'What is done with what is too much. Default: tempfail.',
          },
          score: { type: 'number', description: 'Points where the action is score. Default: 3.' },
        },
        required: ['per', 'max', 'seconds'],
        additionalProperties: false,
      },
      description: 'At most `max` in any `seconds`; all that apply are counted.',
    },
    ipv4Prefix: {
      type: 'integer',
      minimum: 1,
      maximum: 32,
      default: 24,
      description: 'Bits of an IPv4 address that name its network.',
    },
    ipv6Prefix: {
      type: 'integer',
      minimum: 1,
      maximum: 128,
      default: 48,
      description: 'Bits of an IPv6 address that name its network.',
    },
    exemptTrusted: {
      type: 'boolean',
      default: true,
      description: 'Do not limit clients in trustedNetworks, unless a user has authenticated.',
    },
  },
  required: ['limits'],
  setup: ({ options }) => readLimits(options.limits, options),
  hooks: {
    mailFrom: (input, context) => holdBack(input, 'messages', context),
    rcptTo: (input, context) =>
      // What routing refuses sends nothing.
      input.route === 'unknown-user' || input.route === 'refused'
        ? undefined
        : holdBack(input, 'recipients', context),
  },
});

async function holdBack(
  input: TransactionInput,
  counted: Limit['count'],
  { options, prepared, state, clock, log }: Context,
): Promise<HookResult> {
  if (options.exemptTrusted && input.connection.trusted && input.session.user === undefined) return undefined;
  const applied: { limit: Limit; subject: Subject }[] = [];
  for (const limit of prepared) {
    const subject = limit.count === counted ? subjectOf(limit, input) : undefined;
    if (subject !== undefined) applied.push({ limit, subject });
  }
  const over: { limit: Limit; subject: Subject }[] = [];
  for (const each of applied) {
    if (!(await countIn(state, clock.now(), each.subject.key, each.limit))) over.push(each);
  }
  if (over.length === 0) return undefined;
  for (const { limit, subject } of over) log('too-many', { limit: limit.name, of: subject.name });
  const hardest =
    over.find(({ limit }) => limit.action === 'reject') ??
    over.find(({ limit }) => limit.action === 'tempfail');
  const verdict = hardest && verdictOf(hardest.limit, hardest.subject);
  return {
    ...(verdict && { verdict }),
    result: { over: over.map(({ limit }) => limit.name) },
    symbols: over.flatMap(({ limit }) =>
      limit.action === 'score' ? [{ name: limit.symbol, score: limit.score }] : [],
    ),
  };
}

function verdictOf({ action, count }: Limit, { name }: Subject) {
  const text = `too many ${count} from ${name}`;
  return action === 'reject'
    ? reject(550, '5.7.1', text)
    : tempfail(450, '4.7.1', `${text}, try again later`);
}
