/** Messages of the queue in memory, so that what is sent soon is not read again from its file. */
import { queueLimits } from '../../core/base/limits/outbound.ts';
import { type MemorySource, type MessageSource, memorySource } from '../../core/mail/source.ts';

/**
 * Small messages that were just written: most are sent at once, and need not be read again. The files stay what counts;
 * this is forgotten with the process.
 */
export class RecentMessages {
  readonly #kept = new Map<string, MemorySource>();
  #octets = 0;

  keep(transactionId: string, source: MemorySource): void {
    const { length } = source;
    if (length > queueLimits.recentMessageBytesMax) return;
    this.forget(transactionId);
    this.#kept.set(transactionId, copyOf(source));
    this.#octets += length;
    for (const [oldest] of this.#kept) {
      if (this.#octets <= queueLimits.recentBytesMax) return;
      this.forget(oldest);
    }
  }

  get(transactionId: string, length: number): MessageSource | undefined {
    const found = this.#kept.get(transactionId);
    return found?.length === length ? found : undefined;
  }

  forget(transactionId: string): void {
    this.#octets -= this.#kept.get(transactionId)?.length ?? 0;
    this.#kept.delete(transactionId);
  }
}

/** Its own memory: a slot of the spool is used again as soon as the mail is accepted. */
export function copyOf({ buffer, offset, length }: MemorySource): MemorySource {
  return memorySource(new Uint8Array(buffer, offset, length));
}
