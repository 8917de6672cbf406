/** Connections that stand for the next message to the same place, for a few seconds. RFC 5321 section 3.3 lets a session hold several transactions. */
import { outboundLimits } from '../../core/base/limits/outbound.ts';
import type { SmtpClient } from '../../core/net/smtp-client.ts';

export interface Pooled {
  readonly client: SmtpClient;
  /** Transactions so far. */
  uses: number;
}

export class ConnectionPool {
  readonly #idle = new Map<string, { pooled: Pooled; timer: NodeJS.Timeout }[]>();
  #count = 0;
  readonly #leaving = new Set<Promise<void>>();

  /** @param key of everything that makes two connections the same: address, policy, user */
  take(key: string): Pooled | undefined {
    for (;;) {
      const found = this.#idle.get(key)?.pop();
      if (found === undefined) {
        this.#idle.delete(key);
        return undefined;
      }
      clearTimeout(found.timer);
      this.#count -= 1;
      if (found.pooled.client.usable) return found.pooled;
      found.pooled.client.destroy();
    }
  }

  /** Keeps it a while, or ends it when it has served enough. */
  give(key: string, pooled: Pooled, usesMax: number): void {
    if (!pooled.client.usable) {
      pooled.client.destroy();
      return;
    }
    if (pooled.uses >= usesMax || this.#count >= outboundLimits.idleConnectionsMax) {
      this.#leave(pooled.client);
      return;
    }
    const waiting = this.#idle.get(key) ?? [];
    this.#idle.set(key, waiting);
    const timer = setTimeout(() => {
      const at = waiting.findIndex((each) => each.pooled === pooled);
      if (at >= 0) waiting.splice(at, 1);
      if (waiting.length === 0) this.#idle.delete(key);
      this.#count -= 1;
      this.#leave(pooled.client);
    }, outboundLimits.idleMs);
    timer.unref();
    waiting.push({ pooled, timer });
    this.#count += 1;
  }

  async close(): Promise<void> {
    for (const waiting of this.#idle.values()) {
      for (const { pooled, timer } of waiting) {
        clearTimeout(timer);
        this.#leave(pooled.client);
      }
    }
    this.#idle.clear();
    this.#count = 0;
    await Promise.all(this.#leaving);
  }

  /** Nobody waits for the answer to QUIT, which may take minutes. */
  #leave(client: SmtpClient): void {
    const late = setTimeout(() => client.destroy(), quitMs).unref();
    const leaving: Promise<void> = client.quit().finally(() => {
      clearTimeout(late);
      this.#leaving.delete(leaving);
    });
    this.#leaving.add(leaving);
  }
}

const quitMs = 2000;
