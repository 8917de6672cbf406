/**
 * Messages of the queue that have no file yet: the journal keeps them, and most are sent within a moment and never need
 * one. What stays longer is written; whoever brought it is told when the journal is needed no more.
 */
import { queueLimits } from '../../core/base/limits/outbound.ts';
import type { MemorySource, MessageSource } from '../../core/mail/source.ts';
import { copyOf } from './recent.ts';

interface Kept {
  readonly source: MemorySource;
  readonly entries: number;
  /** Of the monotonic clock. */
  readonly since: number;
  readonly settled: PromiseWithResolvers<void>;
}

export class Unwritten {
  readonly #kept = new Map<string, Kept>();
  #octets = 0;

  get size(): number {
    return this.#kept.size;
  }

  /** Whether that one may stay without a file: a small one, while few are. */
  hasRoomFor(source: MessageSource): source is MemorySource {
    return (
      source.kind === 'memory' &&
      source.length <= queueLimits.recentMessageBytesMax &&
      this.#octets + source.length <= queueLimits.recentBytesMax &&
      this.#kept.size < queueLimits.unwrittenMessagesMax
    );
  }

  /** Resolves when the message has a file, or nobody needs it any more. Takes a copy: an attempt may go on beyond that. */
  keep(transactionId: string, source: MemorySource, entries: number, nowMs: number): Promise<void> {
    const settled = Promise.withResolvers<void>();
    this.#kept.set(transactionId, { source: copyOf(source), entries, since: nowMs, settled });
    this.#octets += source.length;
    return settled.promise;
  }

  get(transactionId: string): MemorySource | undefined {
    return this.#kept.get(transactionId)?.source;
  }

  /** It came with one entry, which others can only have joined as notices. */
  isAlone(transactionId: string): boolean {
    return this.#kept.get(transactionId)?.entries === 1;
  }

  settle(transactionId: string): void {
    const kept = this.#kept.get(transactionId);
    if (kept === undefined) return;
    this.#kept.delete(transactionId);
    this.#octets -= kept.source.length;
    kept.settled.resolve();
  }

  /** Ids of those that came before `ms` of the monotonic clock, the oldest first. */
  olderThan(ms: number): string[] {
    const ids: string[] = [];
    for (const [id, { since }] of this.#kept) {
      if (since > ms) break;
      ids.push(id);
    }
    return ids;
  }
}
