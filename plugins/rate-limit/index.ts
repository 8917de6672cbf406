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
          stopSeconds: {
            type: 'integer',
            minimum: 0,
            maximum: 31_536_000,
            description:
              'Whoever is over the limit is stopped for so long, which the log says once. Default: 0, until there is room again.',
          },
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
    if (await isOver(each.limit, each.subject, { state, clock, log })) over.push(each);
  }
  if (over.length === 0) return undefined;
  const { remoteIp } = input.connection;
  for (const { limit, subject } of over)
    log('too-many', { limit: limit.name, of: subject.who, ip: remoteIp });
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

/** Counts the attempt where there is room; a subject that was stopped is not counted. */
async function isOver(
  limit: Limit,
  { key, who }: Subject,
  { state, clock, log }: Pick<Context, 'state' | 'clock' | 'log'>,
): Promise<boolean> {
  const stopped = `${key}/stopped`;
  if (limit.stopSeconds > 0 && (await state.get(stopped)) !== undefined) return true;
  if (await countIn(state, clock.now(), key, limit)) return false;
  if (limit.stopSeconds > 0) {
    const ours = await state.setIfAbsent(stopped, clock.now(), { ttlSeconds: limit.stopSeconds });
    // One line for the operator: whose password is to be changed, or whose machine to be cleaned.
    if (ours) log('stopped', { of: who, per: limit.per, limit: limit.name, seconds: limit.stopSeconds });
  }
  return true;
}

function verdictOf({ action, count }: Limit, { name }: Subject) {
  const text = `too many ${count} from ${name}`;
  return action === 'reject'
    ? reject(550, '5.7.1', text)
    : tempfail(450, '4.7.1', `${text}, try again later`);
}
