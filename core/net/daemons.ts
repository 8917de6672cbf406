/**
 * Daemons that do the same work, in order of preference: one that fails makes way for the next, and rests for a while, so
 * that a dead one costs no further waits. When its rest is over one question tries it; all others still go round it. All
 * threads of a server know of it at once.
 */
import { describeError, errnoOf } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import { daemonLimits } from '../base/limits/filters.ts';
import { type DaemonSlot, daemonSlot } from './daemon-board.ts';

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
  readonly slot: DaemonSlot;
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
    this.#daemons = addresses.map((address) => {
      const name = format(address);
      return { address, name, slot: daemonSlot(`${kind} ${name}`) };
    });
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
    const { clock, log } = context;
    const wrong: string[] = [];
    for (const [index, { address, name, slot }] of this.#daemons.entries()) {
      const claim = slot.claim(clock.now(), context.deadline);
      if (claim === 'rests') {
        wrong.push(`${name} rests after ${slot.failures} failures: ${slot.reason}`);
        continue;
      }
      try {
        const ms = shareOf(context.deadline - clock.now(), this.#daemons.length - index);
        const answer = await inTime(ms, context.signal, (signal) => question(address, signal, name));
        if (slot.serves()) log('daemon-up', { daemon: name });
        return answer;
      } catch (error) {
        const reason = describeError(error);
        wrong.push(`${name}: ${reason}`);
        const down = slot.fails(clock.now(), reason, absentErrors.has(errnoOf(error) ?? ''));
        if (down) {
          const { failures, restMs } = down;
          log('daemon-down', { daemon: name, reason, failures, restSeconds: restMs / 1000 });
        }
      } finally {
        if (claim === 'trial') slot.release();
      }
    }
    throw new Error(`no ${this.#kind} answered: ${wrong.join('; ')}`);
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
