/**
 * Daemons that do the same work, in order of preference: one that fails makes way for the next, and rests for a while, so
 * that a dead one costs no further waits. When its rest is over one question tries it; all others still go round it.
 */
import { describeError, errnoOf } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import { daemonLimits } from '../base/limits/filters.ts';

/** What a hook's context gives: how long there is, and where to report. */
export interface AskContext {
  readonly clock: { now(): number; monotonicMs(): number };
  /** Epoch milliseconds. */
  readonly deadline: number;
  readonly signal: AbortSignal;
  log(event: string, facts?: Readonly<Record<string, Json>>): void;
}

interface Daemon<Address> {
  readonly address: Address;
  readonly name: string;
  /** In a row. */
  failures: number;
  /** On the monotonic clock; 0 while it serves. */
  restUntil: number;
  restMs: number;
  /** A question tries whether it is back. */
  probed: boolean;
  reason: string;
}

export class Daemons<Address> {
  readonly #kind: string;
  readonly #daemons: readonly Daemon<Address>[];

  /**
   * @param kind what they are called in errors: `clamd`
   * @param format how an address stands in logs
   */
  constructor(kind: string, addresses: readonly Address[], format: (address: Address) => string) {
    this.#kind = kind;
    this.#daemons = addresses.map((address) => ({
      address,
      name: format(address),
      failures: 0,
      restUntil: 0,
      restMs: 0,
      probed: false,
      reason: '',
    }));
  }

  /**
   * The first answer. What a daemon says of a message (too large, say) is an answer too: a question rejects only when
   * the daemon is to blame.
   * @throws Error naming each daemon and what is wrong with it, in time for the hook to fail with it
   */
  async ask<Answer>(
    context: AskContext,
    question: (address: Address, signal: AbortSignal, name: string) => Promise<Answer>,
  ): Promise<Answer> {
    const { clock } = context;
    const wrong: string[] = [];
    for (const [index, daemon] of this.#daemons.entries()) {
      const restsMs = daemon.restUntil - clock.monotonicMs();
      if (daemon.restUntil > 0 && (restsMs > 0 || daemon.probed)) {
        wrong.push(`${daemon.name} rests after ${daemon.failures} failures: ${daemon.reason}`);
        continue;
      }
      daemon.probed = daemon.restUntil > 0;
      try {
        const ms = shareOf(context.deadline - clock.now(), this.#daemons.length - index);
        const answer = await inTime(ms, context.signal, (signal) =>
          question(daemon.address, signal, daemon.name),
        );
        this.#serves(daemon, context);
        return answer;
      } catch (error) {
        wrong.push(`${daemon.name}: ${describeError(error)}`);
        this.#fails(daemon, error, context);
      } finally {
        daemon.probed = false;
      }
    }
    throw new Error(`no ${this.#kind} answered: ${wrong.join('; ')}`);
  }

  #serves(daemon: Daemon<Address>, { log }: AskContext): void {
    if (daemon.restUntil > 0) log('daemon-up', { daemon: daemon.name });
    daemon.failures = 0;
    daemon.restUntil = 0;
    daemon.restMs = 0;
  }

  /** Nobody there: it rests at once. One message may be what a daemon stumbles over: it takes some in a row. */
  #fails(daemon: Daemon<Address>, error: unknown, { clock, log }: AskContext): void {
    daemon.failures += 1;
    daemon.reason = describeError(error);
    const absent = absentErrors.has(errnoOf(error) ?? '');
    if (!absent && daemon.restMs === 0 && daemon.failures < daemonLimits.failuresMax) return;
    const now = clock.monotonicMs();
    // Questions that were under way when it fell say nothing new.
    if (daemon.restUntil > now) return;
    daemon.restMs = Math.min(Math.max(daemon.restMs * 2, daemonLimits.restMsMin), daemonLimits.restMsMax);
    daemon.restUntil = now + daemon.restMs;
    log('daemon-down', {
      daemon: daemon.name,
      reason: daemon.reason,
      failures: daemon.failures,
      restSeconds: daemon.restMs / 1000,
    });
  }
}

const absentErrors: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOENT',
  'EACCES',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
]);

/** Time for one of `left` daemons; a little stays, so that the hook fails with what we know and not as late. */
function shareOf(remainingMs: number, left: number): number {
  const kept = Math.min(daemonLimits.marginMs, remainingMs / 10);
  return Math.max(1, (remainingMs - kept) / left);
}

async function inTime<Answer>(
  ms: number,
  outer: AbortSignal,
  run: (signal: AbortSignal) => Promise<Answer>,
): Promise<Answer> {
  const controller = new AbortController();
  const stop = () => controller.abort(new Error('the hook is over'));
  const timer = setTimeout(() => controller.abort(new Error(`no answer within ${Math.round(ms)} ms`)), ms);
  outer.addEventListener('abort', stop, { once: true });
  const late = new Promise<never>((_, reject) => {
    controller.signal.addEventListener('abort', () => reject(controller.signal.reason), { once: true });
  });
  try {
    return await Promise.race([run(controller.signal), late]);
  } finally {
    clearTimeout(timer);
    outer.removeEventListener('abort', stop);
  }
}
