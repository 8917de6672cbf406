/** Counts the connections of all listeners of a process, in all and per client, and says when there are too many. */
import type { Limits } from '../../core/base/limits/settings.ts';
import { clientKey, type IpMatcher, isLoopback } from '../../core/net/ip.ts';

export type Admission = 'admitted' | 'too-many' | 'too-many-of-client';

export class ConnectionCount {
  #limits: Pick<Limits, 'connectionsMax' | 'connectionsPerAddressMax'>;
  readonly #exempt: IpMatcher;
  readonly #perClient = new Map<string, number>();
  #total = 0;

  /** @param exempt Networks that are not counted per client; loopback and unix sockets never are. */
  constructor(limits: Pick<Limits, 'connectionsMax' | 'connectionsPerAddressMax'>, exempt: IpMatcher) {
    this.#limits = limits;
    this.#exempt = exempt;
  }

  get total(): number {
    return this.#total;
  }

  /** Limits of a new config, for whoever comes from now on. */
  reconfigure(limits: Pick<Limits, 'connectionsMax' | 'connectionsPerAddressMax'>): void {
    this.#limits = limits;
  }

  /** Whoever is admitted must be released, once. @param ip '' for a unix socket. */
  admit(ip: string): Admission {
    if (this.#total >= this.#limits.connectionsMax) return 'too-many';
    if (!this.#isExempt(ip)) {
      const key = clientKey(ip);
      const count = this.#perClient.get(key) ?? 0;
      if (count >= this.#limits.connectionsPerAddressMax) return 'too-many-of-client';
      this.#perClient.set(key, count + 1);
    }
    this.#total += 1;
    return 'admitted';
  }

  release(ip: string): void {
    this.#total -= 1;
    if (this.#isExempt(ip)) return;
    const key = clientKey(ip);
    const count = this.#perClient.get(key) ?? 0;
    if (count > 1) this.#perClient.set(key, count - 1);
    else this.#perClient.delete(key);
  }

  #isExempt(ip: string): boolean {
    return ip === '' || isLoopback(ip) || this.#exempt.matches(ip);
  }
}
