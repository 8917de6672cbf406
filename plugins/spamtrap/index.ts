/** Addresses that only spam knows: who writes to one is remembered, and the message is a lesson. RFC 5321 section 2.4. */
import { createHash } from 'node:crypto';
import { isClientKnown } from 'mailfilter/auth';
import {
  definePlugin,
  discard,
  type HookAnswer,
  type HookContext,
  type HookInput,
  type Json,
  networkKey,
  type RcptToInput,
  reject,
  type TransactionInput,
  tempfail,
  type Verdict,
} from 'mailfilter/plugin';
import { readTraps, type Traps } from './traps.ts';

interface Options {
  readonly answer: string;
  readonly markSeconds: number;
  readonly action: string;
  readonly score: number;
  readonly messageScore: number;
  readonly ipv4Prefix: number;
  readonly ipv6Prefix: number;
  readonly teach: boolean;
}
type Context = HookContext<Options, Traps>;

export default definePlugin({
  name: 'spamtrap',
  // Before routing: most traps are users that do not exist.
  writes: ['recipients'],
  options: {
    traps: {
      type: 'array',
      minItems: 1,
      maxItems: 10_000,
      items: { type: 'string', minLength: 3, maxLength: 254 },
      description: 'Addresses, @domains, and patterns such as old-*@example.org.',
    },
    answer: {
      type: 'string',
      enum: ['accept', 'reject', 'deliver'],
      default: 'accept',
      description:
        'Mail to a trap is taken and dropped, refused as to an unknown user, or delivered to whoever has the address.',
    },
    markSeconds: {
      type: 'integer',
      minimum: 0,
      maximum: 31_536_000,
      default: 86_400,
      description: 'How long a client that wrote to a trap is remembered; 0: not at all.',
    },
    action: {
      type: 'string',
      enum: ['mark', 'score', 'tempfail', 'reject'],
      default: 'score',
      description: 'What later mail of that client meets.',
    },
    score: { type: 'number', default: 5, description: 'Points of later mail where the action is score.' },
    messageScore: {
      type: 'number',
      default: 10,
      description: 'Points of a message to a trap, for its other recipients.',
    },
    ipv4Prefix: {
      type: 'integer',
      minimum: 8,
      maximum: 32,
      default: 32,
      description: 'IPv4 addresses that agree in so many bits are one client.',
    },
    ipv6Prefix: {
      type: 'integer',
      minimum: 16,
      maximum: 128,
      default: 64,
      description: 'IPv6 addresses that agree in so many bits are one client.',
    },
    teach: {
      type: 'boolean',
      default: true,
      description: 'The plugin bayes learns such a message as spam, where it runs behind this one.',
    },
  },
  required: ['traps'],
  setup: ({ options }) => readTraps(options.traps),
  hooks: {
    async mailFrom(input, context): Promise<HookAnswer | undefined> {
      const client = clientOf(input, context);
      if (client === undefined || (await context.state.get(client)) === undefined) return undefined;
      const { action, score } = context.options;
      context.log('marked', { ip: input.connection.remoteIp });
      const verdict = laterVerdict(action);
      return {
        ...(verdict && { verdict }),
        ...(action === 'score' && { symbols: [{ name: 'SPAMTRAP_CLIENT', score }] }),
        result: { marked: true },
      };
    },
    async rcptTo(input, context): Promise<HookAnswer | undefined> {
      const { recipient } = input;
      if (!context.prepared.has(recipient.address) && !context.prepared.has(recipient.original))
        return undefined;
      return await spring(input, context);
    },
    // Not at RCPT, where a callout stops.
    async data(input, context) {
      const { trapped = [] } = (input.results.spamtrap ?? {}) as { trapped?: readonly string[] };
      if (trapped.length > 0) await mark(input, context);
      return undefined;
    },
  },
});

async function spring(input: RcptToInput, context: Context): Promise<HookAnswer> {
  const { options, log } = context;
  const { recipient, results } = input;
  const verdict = trapVerdict(options.answer);
  // One of us that writes to a trap is mistaken, or answers spam: that is no lesson.
  if (isOurs(input))
    return { ...(verdict && { verdict: verdict.action === 'discard' ? unknownUser : verdict }) };
  // Bounces of mail that others forged come to traps too, and callouts do: both with the null sender.
  if (input.envelope.sender === '') return { ...(verdict && { verdict }) };
  if (options.answer === 'reject') await mark(input, context);
  log('trapped', { ip: input.connection.remoteIp, recipient: recipient.address });
  const { trapped = [] } = (results.spamtrap ?? {}) as { trapped?: readonly string[] };
  const first = trapped.length === 0;
  return {
    ...(verdict && { verdict }),
    ...(first && { symbols: [{ name: 'SPAMTRAP', score: options.messageScore }] }),
    result: {
      trapped: [...trapped, recipient.address].slice(0, shownMax),
      ...(options.teach && { lesson: 'spam' }),
    },
  };
}

async function mark(input: TransactionInput, context: Context): Promise<void> {
  const { options, state, clock } = context;
  const client = clientOf(input, context);
  if (client === undefined || options.markSeconds === 0 || isVouchedFor(input.results.dnsbl)) return;
  await state.set(client, clock.now(), { ttlSeconds: options.markSeconds });
}

/** Large hosts carry some spam among much mail: whom an allow list names, before this plugin, is not remembered. */
function isVouchedFor(result: Json | undefined): boolean {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) return false;
  const { allowed } = result as { readonly [key: string]: Json };
  return Array.isArray(allowed) && allowed.length > 0;
}

/** Of many traps in one message the result shows the first ones. */
const shownMax = 20;

function isOurs({ connection, session }: HookInput): boolean {
  return connection.trusted || session.user !== undefined || connection.door === 'submission';
}

/** Under which key a client is remembered; undefined for those of this site, and where no client is known. */
function clientOf(input: TransactionInput, { options }: Context): string | undefined {
  if (isOurs(input) || !isClientKnown(input.connection)) return undefined;
  const bits = { ipv4: options.ipv4Prefix, ipv6: options.ipv6Prefix };
  const network = networkKey(input.connection.remoteIp, bits);
  if (network === '') return undefined;
  return `client/${createHash('sha256').update(network).digest('base64url')}`;
}

/** As the server itself would say. */
const unknownUser = reject(550, '5.1.1', 'no such user here');

function trapVerdict(answer: string): Verdict | undefined {
  if (answer === 'deliver') return undefined;
  return answer === 'reject' ? unknownUser : discard('spamtrap');
}

function laterVerdict(action: string): Verdict | undefined {
  if (action === 'reject') return reject(554, '5.7.1', 'your host sent spam here');
  return action === 'tempfail'
    ? tempfail(450, '4.7.1', 'your host sent spam here, try again later')
    : undefined;
}
