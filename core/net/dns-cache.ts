/** Answers remembered for their time, and one question on the wire for all who ask it at the same moment. RFC 2308. */
import type { Clock } from '../base/clock.ts';
import { dnsLimits } from '../base/limits/dns.ts';
import type { Log } from '../base/log.ts';
import { type DnsAnswer, type DnsAnswers, DnsError, type DnsSource, type DnsType } from './dns-question.ts';

interface Kept {
  /** Milliseconds of the monotonic clock. */
  readonly until: number;
  readonly records?: readonly unknown[];
  readonly error?: DnsError;
}

export class DnsCache {
  readonly #source: DnsSource;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #timeoutMs: number;
  /** `TYPE name` to what was answered, the least recently kept first. */
  readonly #kept = new Map<string, Kept>();
  readonly #asking = new Map<string, Promise<Kept>>();

  constructor(
    source: DnsSource,
    init: { readonly timeoutMs: number; readonly clock: Clock; readonly log: Log },
  ) {
    this.#source = source;
    this.#clock = init.clock;
    this.#log = init.log;
    this.#timeoutMs = init.timeoutMs;
  }

  /** @param name in the form askedName gives it */
  async ask<Type extends DnsType>(type: Type, name: string): Promise<DnsAnswers[Type][]> {
    const key = `${type} ${name}`;
    const kept = this.#find(key) ?? (await this.#askOnce(type, name, key));
    if (kept.error !== undefined) throw kept.error;
    return kept.records!.map(ownCopy) as DnsAnswers[Type][];
  }

  #find(key: string): Kept | undefined {
    const kept = this.#kept.get(key);
    return kept !== undefined && kept.until > this.#clock.monotonicMs() ? kept : undefined;
  }

  #askOnce(type: DnsType, name: string, key: string): Promise<Kept> {
    const running = this.#asking.get(key);
    if (running !== undefined) return running;
    if (this.#asking.size >= dnsLimits.questionsAtOnce) throw new DnsError('busy', type, name);
    const asking = this.#answer(type, name, key).finally(() => this.#asking.delete(key));
    this.#asking.set(key, asking);
    return asking;
  }

  async #answer(type: DnsType, name: string, key: string): Promise<Kept> {
    const start = this.#clock.monotonicMs();
    const kept = await this.#fetch(type, name);
    if (this.#log.enabled('debug')) {
      const ms = Math.round(this.#clock.monotonicMs() - start);
      this.#log.debug('dns-asked', {
        type,
        name,
        ms,
        records: kept.records?.length,
        error: kept.error?.code,
      });
    }
    this.#keep(key, kept);
    return kept;
  }

  async #fetch(type: DnsType, name: string): Promise<Kept> {
    try {
      const { records, ttlSeconds } = await this.#inTime(type, name);
      const held = records.length === 0 ? dnsLimits.absentSeconds : (ttlSeconds ?? dnsLimits.presentSeconds);
      return { records, until: this.#after(Math.min(held, dnsLimits.heldSecondsMax)) };
    } catch (error) {
      if (!(error instanceof DnsError)) throw error;
      const held = error.temporary ? dnsLimits.failureSeconds : dnsLimits.absentSeconds;
      return { error, until: this.#after(held) };
    }
  }

  /** The deadline over all servers and tries together: whoever asks has a client waiting. */
  #inTime<Type extends DnsType>(type: Type, name: string): Promise<DnsAnswer<Type>> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new DnsError('timeout', type, name)), this.#timeoutMs);
      this.#source(type, name)
        .then(resolve, reject)
        .finally(() => clearTimeout(timer));
    });
  }

  #after(seconds: number): number {
    return this.#clock.monotonicMs() + seconds * 1000;
  }

  #keep(key: string, kept: Kept): void {
    this.#kept.delete(key);
    if (this.#kept.size >= dnsLimits.cacheEntriesMax) {
      const oldest = this.#kept.keys().next().value;
      if (oldest !== undefined) this.#kept.delete(oldest);
    }
    this.#kept.set(key, kept);
  }
}

/** A caller that changes its answer must not change that of the next. */
function ownCopy(record: unknown): unknown {
  return typeof record === 'object' && record !== null ? { ...record } : record;
}
