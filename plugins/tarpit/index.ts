/** Make suspicious clients wait, in bounded numbers, and judge those that do not wait for their turn. RFC 5321 section 4.3.1. */
import { setTimeout as delay } from 'node:timers/promises';
import { isClientKnown } from 'mailfilter/auth';
import { definePlugin, type HookAnswer, type HookContext, type HookInput, reject } from 'mailfilter/plugin';
import { isSuspect, type Suspicion, suspicions } from './suspicion.ts';

interface Options {
  readonly greetingSeconds: number;
  readonly replySeconds: number;
  readonly totalSeconds: number;
  readonly heldMax: number;
  readonly earlyTalker: string;
  readonly score: number;
  readonly suspects: readonly string[];
}
/** Clients that wait in this thread at this moment. */
interface Held {
  count: number;
}
type Context = HookContext<Options, Held>;

export default definePlugin({
  name: 'tarpit',
  kind: 'score',
  options: {
    greetingSeconds: {
      type: 'number',
      minimum: 0,
      maximum: 30,
      default: 0,
      description: 'The greeting is held so long: only spam software talks before it. 0: not at all.',
    },
    replySeconds: {
      type: 'number',
      minimum: 0,
      maximum: 30,
      default: 5,
      description: 'The replies to HELO, MAIL, RCPT and DATA are held so long, for suspects.',
    },
    totalSeconds: {
      type: 'number',
      minimum: 0,
      maximum: 600,
      default: 60,
      description: 'A suspect waits no more once it has waited so long in one connection or message.',
    },
    heldMax: {
      type: 'integer',
      minimum: 1,
      maximum: 10_000,
      default: 100,
      description: 'So many clients wait in one thread at the same time; others do not.',
    },
    earlyTalker: {
      type: 'string',
      enum: ['off', 'mark', 'score', 'reject'],
      default: 'score',
      description:
        'What is done with a client that talked before the greeting, or before the reply to EHLO or HELO.',
    },
    score: { type: 'number', default: 3, description: 'Points of an early talker where that is score.' },
    suspects: {
      type: 'array',
      items: { type: 'string', enum: suspicions },
      default: [...suspicions],
      description: 'Whose replies are held: what plugins before this one said of the client.',
    },
  },
  setup: (): Held => ({ count: 0 }),
  hooks: {
    async connect(input, context) {
      if (isExempt(input)) return undefined;
      const suspect = isSuspect(input, context.options.suspects as Suspicion[]);
      const { greetingSeconds, replySeconds } = context.options;
      return await hold(input, suspect ? Math.max(greetingSeconds, replySeconds) : greetingSeconds, context);
    },
    helo: holdReply,
    async mailFrom(input, context): Promise<HookAnswer | undefined> {
      if (isExempt(input)) return undefined;
      const held = await holdReply(input, context);
      const judged = judgeTurn(input, context);
      if (!judged) return held;
      return { ...judged, result: { ...held?.result, talkedEarly: input.session.talkedEarly ?? '' } };
    },
    rcptTo: holdReply,
    data: holdReply,
  },
});

/** Users and hosts of this site, and doors that know no client, never wait. */
function isExempt({ connection, session }: HookInput): boolean {
  return (
    connection.trusted ||
    session.user !== undefined ||
    connection.door === 'submission' ||
    !isClientKnown(connection)
  );
}

/** At MAIL: a client may yet authenticate at HELO, and says HELO again after STARTTLS. */
function judgeTurn(
  { session }: HookInput,
  { options, log }: Context,
): Omit<HookAnswer, 'result'> | undefined {
  const { talkedEarly } = session;
  if (talkedEarly === undefined || options.earlyTalker === 'off') return undefined;
  log('talked-early', { before: talkedEarly });
  if (options.earlyTalker === 'reject') {
    const before = talkedEarly === 'greeting' ? 'the greeting' : 'the reply to your command';
    return { verdict: reject(554, '5.5.1', `you talked before ${before}`) };
  }
  return options.earlyTalker === 'score' ? { symbols: [{ name: 'EARLY_TALKER', score: options.score }] } : {};
}

async function holdReply(
  input: HookInput,
  context: Context,
): Promise<{ result: { waited: number } } | undefined> {
  if (isExempt(input) || !isSuspect(input, context.options.suspects as Suspicion[])) return undefined;
  return await hold(input, context.options.replySeconds, context);
}

async function hold(
  { results }: HookInput,
  wanted: number,
  { options, prepared: held, clock, deadline, signal, log }: Context,
): Promise<{ result: { waited: number } } | undefined> {
  const { waited = 0 } = (results.tarpit ?? {}) as { waited?: number };
  // The answer must come before the hook's time is over: a late one is a failure.
  const left = (deadline - clock.now()) / 1000 - marginSeconds;
  const seconds = Math.min(wanted, options.totalSeconds - waited, left);
  if (seconds <= 0) return undefined;
  if (held.count >= options.heldMax) {
    log('too-many-held', { heldMax: options.heldMax });
    return undefined;
  }
  held.count += 1;
  try {
    await delay(seconds * 1000, undefined, { signal });
  } finally {
    held.count -= 1;
  }
  return { result: { waited: waited + seconds } };
}

const marginSeconds = 1;
