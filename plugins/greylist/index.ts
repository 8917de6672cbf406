/** Ask senders nobody here knows yet to come again, and let those in who do. RFC 6647. */
import { createHash } from 'node:crypto';
import { isClientKnown } from 'mailfilter/auth';
import {
  definePlugin,
  type HookContext,
  type HookResult,
  type IpMatcher,
  ipMatcher,
  type Json,
  networkKey,
  type TransactionInput,
  tempfail,
} from 'mailfilter/plugin';
import { senderGroup } from './sender-group.ts';

const seconds = (preset: number, description: string) =>
  ({ type: 'integer', minimum: 1, maximum: 31_536_000, default: preset, description }) as const;
const prefix = (maximum: number, preset: number, description: string) =>
  ({ type: 'integer', minimum: 1, maximum, default: preset, description }) as const;
const addresses = (description: string) =>
  ({ type: 'array', items: { type: 'string', minLength: 1 }, default: [], description }) as const;

interface Options {
  readonly delaySeconds: number;
  readonly spfPass: string;
  readonly spfDelaySeconds: number;
  readonly retryWithinSeconds: number;
  readonly rememberSeconds: number;
  readonly passesToAllow: number;
  readonly ipv4Prefix: number;
  readonly ipv6Prefix: number;
  readonly groupSenders: boolean;
  readonly exemptAllowed: boolean;
}
interface Exempt {
  readonly networks: IpMatcher;
  readonly senders: ReadonlySet<string>;
  readonly recipients: ReadonlySet<string>;
}
type Context = HookContext<Options, Exempt>;

export default definePlugin({
  name: 'greylist',
  kind: 'score',
  options: {
    delaySeconds: seconds(300, 'How long an unknown sender is to wait.'),
    spfPass: {
      type: 'string',
      enum: ['shorten', 'exempt', 'ignore'],
      default: 'shorten',
      description:
        'What a pass of SPF does; other than with ignore, it is known by its domain, not its network.',
    },
    spfDelaySeconds: seconds(60, 'The wait after a pass of SPF, where that shortens it.'),
    retryWithinSeconds: seconds(86_400, 'A sender that has not come again by then begins anew.'),
    rememberSeconds: seconds(3_110_400, 'How long one that did come again is known after its last mail.'),
    passesToAllow: {
      type: 'integer',
      minimum: 0,
      maximum: 1000,
      default: 5,
      description: 'After so many senders came again, the network or SPF domain waits no more; 0: never.',
    },
    ipv4Prefix: prefix(32, 24, 'IPv4 addresses that agree in so many bits are one client.'),
    ipv6Prefix: prefix(128, 64, 'IPv6 addresses that agree in so many bits are one client.'),
    groupSenders: {
      type: 'boolean',
      default: true,
      description: 'Senders that differ in a tag or a number alone (VERP, BATV, SRS) are one.',
    },
    exemptAllowed: {
      type: 'boolean',
      default: true,
      description: 'Clients that an allow list of dnsbl vouches for never wait.',
    },
    exemptNetworks: addresses('Addresses and networks that never wait.'),
    exemptSenders: addresses('Addresses and @domains that never wait. Anybody can write them.'),
    exemptRecipients: addresses('Addresses and @domains whose mail never waits.'),
  },
  setup: ({ options }) => ({
    networks: ipMatcher(options.exemptNetworks),
    senders: lowerCased(options.exemptSenders),
    recipients: lowerCased(options.exemptRecipients),
  }),
  hooks: {
    async rcptTo(input, context) {
      const { route, recipient, envelope } = input;
      if (route === 'unknown-user' || route === 'refused') return undefined;
      // Callouts ask with the null sender and stop at RCPT: they are not held up, its mail is, at DATA.
      if (envelope.sender === '') return undefined;
      if (names(context.prepared.recipients, recipient.address)) return undefined;
      return await judge(input, recipient.address.toLowerCase(), context);
    },
    async data(input, context) {
      const { sender, recipients } = input.envelope;
      if (sender !== '') return undefined;
      const waiting = recipients.filter(({ address }) => !names(context.prepared.recipients, address));
      if (waiting.length === 0) return undefined;
      const to = waiting.map(({ address }) => address.toLowerCase()).sort();
      return await judge(input, to.join(' '), context);
    },
  },
});

async function judge(input: TransactionInput, to: string, context: Context): Promise<HookResult> {
  const { connection, session, envelope } = input;
  const { options, prepared: exempt, log } = context;
  if (connection.trusted || session.user !== undefined || connection.door === 'submission') return undefined;
  if (!isClientKnown(connection) || exempt.networks.matches(connection.remoteIp)) return undefined;
  if (names(exempt.senders, envelope.sender)) return undefined;
  if (options.exemptAllowed && isVouchedFor(input.results.dnsbl)) return undefined;
  const spfDomain = options.spfPass === 'ignore' ? undefined : passedSpf(input.results.spf);
  if (spfDomain !== undefined && options.spfPass === 'exempt') return undefined;
  const network = networkKey(connection.remoteIp, { ipv4: options.ipv4Prefix, ipv6: options.ipv6Prefix });
  const origin = spfDomain === undefined ? `network ${network}` : `spf ${spfDomain}`;
  const delay = spfDomain === undefined ? options.delaySeconds : options.spfDelaySeconds;
  const sender = options.groupSenders ? senderGroup(envelope.sender) : envelope.sender.toLowerCase();
  const left = await secondsLeft({ origin, sender, to }, delay, context);
  if (left === 0) return undefined;
  log('waits', { origin, seconds: left });
  return {
    // The time left is told to people who read logs; no client acts on it.
    verdict: tempfail(451, '4.7.1', `greylisted, try again in ${left} seconds`),
    result: { greylisted: true, seconds: left },
  };
}

interface Triplet {
  readonly origin: string;
  readonly sender: string;
  readonly to: string;
}

/** 0 when the mail may come in; what that teaches is kept. */
async function secondsLeft(triplet: Triplet, delay: number, context: Context): Promise<number> {
  const { state, clock, options } = context;
  const now = clock.now();
  const allowed = `allowed/${hashOf([triplet.origin])}`;
  if (await isKnown(allowed, context)) return 0;
  const passed = `passed/${hashOf([triplet.origin, triplet.sender, triplet.to])}`;
  if (await isKnown(passed, context)) return 0;
  const waiting = `waits/${hashOf([triplet.origin, triplet.sender, triplet.to])}`;
  if (await state.setIfAbsent(waiting, now, { ttlSeconds: options.retryWithinSeconds })) return delay;
  const first = await state.get(waiting);
  // Expired this moment: it is as new.
  if (typeof first !== 'number') return delay;
  const left = Math.ceil((first + delay * 1000 - now) / 1000);
  if (left > 0) return left;
  const remembered = { ttlSeconds: options.rememberSeconds };
  // One of several attempts at the same time counts.
  if ((await state.setIfAbsent(passed, now, remembered)) && options.passesToAllow > 0) {
    const passes = await state.increment(`passes/${hashOf([triplet.origin])}`, 1, remembered);
    if (passes >= options.passesToAllow) await state.set(allowed, now, remembered);
  }
  await state.delete(waiting);
  return 0;
}

/** Whoever is in use stays known; a day's grain spares a write for each message. */
async function isKnown(key: string, { state, clock, options }: Context): Promise<boolean> {
  const since = await state.get(key);
  if (typeof since !== 'number') return false;
  const grain = Math.min(86_400, options.rememberSeconds / 2) * 1000;
  if (clock.now() - since > grain) {
    await state.set(key, clock.now(), { ttlSeconds: options.rememberSeconds });
  }
  return true;
}

function passedSpf(result: Json | undefined): string | undefined {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) return undefined;
  const { result: word, domain } = result as { readonly [key: string]: Json };
  return word === 'pass' && typeof domain === 'string' ? domain.toLowerCase() : undefined;
}

/** RFC 6647 section 5 asks for allow lists; those of DNS are asked by another plugin, before this one. */
function isVouchedFor(result: Json | undefined): boolean {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) return false;
  const { allowed } = result as { readonly [key: string]: Json };
  return Array.isArray(allowed) && allowed.length > 0;
}

function names(list: ReadonlySet<string>, address: string): boolean {
  const lower = address.toLowerCase();
  return list.has(lower) || list.has(lower.slice(lower.lastIndexOf('@')));
}

function lowerCased(list: readonly string[]): ReadonlySet<string> {
  return new Set(list.map((entry) => entry.toLowerCase()));
}

function hashOf(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}
