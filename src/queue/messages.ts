/**
 * The messages that entries are about, and what brings the two together: a message has its file before its first entry,
 * or is kept by the journal and has none yet, and its file goes after its last entry is gone on disk.
 */
import { existsSync } from 'node:fs';
import type { Clock } from '../../core/base/clock.ts';
import { describeError } from '../../core/base/errors.ts';
import { queueLimits } from '../../core/base/limits/outbound.ts';
import type { Log } from '../../core/base/log.ts';
import type { MemorySource, MessageSource } from '../../core/mail/source.ts';
import type { CommitGroup } from '../../core/state/commit-group.ts';
import type { Entries } from './entries.ts';
import { fileName, type MessageFiles, unwritten } from './message-files.ts';
import type { Backing, NewQueueEntry, Queue, Replay } from './queue.ts';
import { Unwritten } from './unwritten.ts';

export interface MessagesInit {
  readonly entries: Entries;
  readonly files: MessageFiles;
  readonly group: CommitGroup;
  /** Puts what was committed on disk. */
  readonly sync: () => Promise<void>;
  readonly expireMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

export class Messages {
  readonly #init: MessagesInit;
  readonly #unwritten = new Unwritten();
  /** Transactions whose last entry is gone, though perhaps not yet on disk. */
  #gone: string[] = [];
  #goneTimer: NodeJS.Timeout | undefined;
  #unwrittenTimer: NodeJS.Timeout | undefined;
  #closed = false;
  #replay: Replay | undefined;
  /** Entries ended that were not the last of their message, not yet on disk. */
  #hasEnds = false;

  constructor(init: MessagesInit) {
    this.#init = init;
  }

  /** Entries of one transaction, together with its message: `Queue.enqueue`. @param added is called when entries are there */
  async add(
    entries: readonly NewQueueEntry[],
    source: MessageSource,
    backing: Backing | undefined,
    added: () => void,
  ): Promise<void> {
    const { transactionId } = entries[0]!;
    if (backing === 'kept' && this.#mayStayUnwritten(entries, source)) {
      return this.#addUnwritten(transactionId, entries, source, added);
    }
    const known = entries.every(({ id }) => this.#init.entries.rows.isKnown(id));
    const unpin = this.#init.files.pin(transactionId);
    let wrote = false;
    let count = 0;
    try {
      if (this.#needsFile(transactionId, known, backing)) {
        wrote = true;
        await this.#init.files.write(transactionId, source, backing === undefined);
      }
      const add = () => {
        if (wrote) this.#init.entries.setWritten(transactionId);
        return this.#init.entries.add(entries, source, this.#init.expireMs, this.#init.clock.now());
      };
      // Also where nothing is new: what an earlier call began may not be on disk yet.
      count = await (backing === undefined ? this.#init.group.run(add) : this.#init.group.runUnsynced(add));
      if (wrote) this.#unwritten.settle(transactionId);
    } finally {
      unpin();
      if (wrote && count === 0) await this.#takeBack(transactionId);
    }
    added();
  }

  /** Writes what has no file yet: `Queue.settle`. */
  async settle(): Promise<void> {
    await this.#writeUnwritten(Number.POSITIVE_INFINITY);
  }

  /** Writes these files anew, durably, where they are: of `Queue.renew`. */
  async renew(messages: Parameters<Queue['renew']>[0]): Promise<void> {
    for await (const { transactionId, source } of messages) {
      if (!this.#init.entries.rows.isWritten(transactionId)) continue;
      const unpin = this.#init.files.pin(transactionId);
      try {
        await this.#init.files.write(transactionId, source);
      } finally {
        unpin();
        await this.#removeUnused(transactionId);
      }
    }
  }

  /** A file of an earlier call that a crash cut off may be there and yet not be whole. */
  #needsFile(transactionId: string, known: boolean, backing: Backing | undefined): boolean {
    if (backing === 'kept-again' && this.#init.entries.rows.hasMessage(transactionId)) return true;
    return !known && !this.#init.entries.rows.isWritten(transactionId);
  }

  /** Mail that is sent at once; what waits anyway is written at once. */
  #mayStayUnwritten(entries: readonly NewQueueEntry[], source: MessageSource): source is MemorySource {
    return (
      this.#unwritten.hasRoomFor(source) &&
      !this.#init.entries.rows.hasMessage(entries[0]!.transactionId) &&
      entries.every(({ work, notBefore }) => work.kind === 'relay' && notBefore === undefined)
    );
  }

  async #addUnwritten(
    transactionId: string,
    entries: readonly NewQueueEntry[],
    source: MemorySource,
    added: () => void,
  ): Promise<void> {
    const { clock, group, expireMs } = this.#init;
    const settled = this.#unwritten.keep(transactionId, source, entries.length, clock.monotonicMs());
    const format = unwritten;
    try {
      const count = await group.runUnsynced(() =>
        this.#init.entries.add(entries, { length: source.length, format }, expireMs, clock.now()),
      );
      if (count === 0) this.#unwritten.settle(transactionId);
    } catch (error) {
      this.#unwritten.settle(transactionId);
      throw error;
    }
    added();
    this.#unwrittenTimer ??= setTimeout(() => this.#lookAtUnwritten(), queueLimits.unwrittenLookMs);
    return settled;
  }

  #lookAtUnwritten(): void {
    const before = this.#init.clock.monotonicMs() - queueLimits.unwrittenMs;
    this.#writeUnwritten(before).then((all) => {
      const again = this.#unwritten.size > 0 && !this.#closed;
      const afterMs = all ? queueLimits.unwrittenLookMs : queueLimits.unwrittenTroubleMs;
      this.#unwrittenTimer = again ? setTimeout(() => this.#lookAtUnwritten(), afterMs) : undefined;
    });
  }

  /**
   * Never rejects: false when one could not be written, after which the others are not tried. The journal keeps what has
   * no file, and a later call tries again.
   */
  async #writeUnwritten(before: number): Promise<boolean> {
    for (const transactionId of this.#unwritten.olderThan(before)) {
      const source = this.#unwritten.get(transactionId);
      if (source === undefined) continue;
      const unpin = this.#init.files.pin(transactionId);
      try {
        await this.#init.files.write(transactionId, source, false);
        await this.#init.group.runUnsynced(() => this.#init.entries.setWritten(transactionId));
        this.#unwritten.settle(transactionId);
      } catch (error) {
        this.#init.log.error('queue-write-failed', { id: transactionId, error: describeError(error) });
        return false;
      } finally {
        unpin();
        await this.#removeUnused(transactionId);
      }
    }
    return true;
  }

  /** Undefined when it has no file, or not one of that length. */
  async source(transactionId: string, length: number): Promise<MessageSource | undefined> {
    return this.#unwritten.get(transactionId) ?? (await this.#init.files.source(transactionId, length));
  }

  /** As `source`, whether the file is there or not. */
  place(transactionId: string, length: number): MessageSource {
    const path = this.#init.files.path(transactionId);
    return this.#unwritten.get(transactionId) ?? { kind: 'file', path, length };
  }

  /** Whether a file was promised; until then the journal has the message. */
  isWritten(transactionId: string): boolean {
    return this.#init.entries.rows.isWritten(transactionId);
  }

  /** It came with one entry. */
  isAlone(transactionId: string): boolean {
    return this.#unwritten.isAlone(transactionId);
  }

  /** The last entry is gone, and on disk: so may be its message. */
  remove(transactionId: string): Promise<void> {
    return this.#removeUnused(transactionId);
  }

  /**
   * The end of entries is on disk soon, and then the file goes whose last they were.
   * @param transactionId of the message whose last entry this was; undefined: others of it wait
   */
  syncSoon(transactionId: string | undefined): void {
    if (transactionId === undefined) this.#hasEnds = true;
    // It never had a file, and the journal's checkpoint will sync what was just written.
    else if (this.#unwritten.get(transactionId) !== undefined && !this.#init.files.isPinned(transactionId)) {
      this.#unwritten.settle(transactionId);
      return;
    } else this.#gone.push(transactionId);
    this.#goneTimer ??= setTimeout(() => this.#removeGone(), queueLimits.removeAfterMs);
  }

  /** Files that a crash left and no entry speaks of are removed, or moved to `lostDirectory`; answers how many. */
  sweep(lostDirectory: string | undefined): number {
    const known = new Set<string>();
    for (const { id } of this.#init.entries.rows.messages()) known.add(fileName(id));
    return this.#init.files.sweep({
      known: (name) => known.has(name),
      ...(lostDirectory && { lostDirectory }),
    });
  }

  /** To be called when no entry changes any more; `drain` ends what was begun. */
  async close(drain: () => Promise<void>): Promise<void> {
    await this.settle();
    clearTimeout(this.#unwrittenTimer);
    await drain();
    await this.#removeGone();
    this.#closed = true;
    this.#init.files.close();
  }

  /** Knows what the journal has still to bring; says what is missing when it has. */
  follow(replay: Replay | undefined): void {
    if (replay === undefined) {
      this.#reportMissing();
      return;
    }
    this.#replay = replay;
    replay.settled.finally(() => {
      this.#replay = undefined;
      if (!this.#closed) this.#reportMissing();
    });
  }

  /** The journal writes it again: until then its file is not to be believed, even where it is there. */
  isAwaited(transactionId: string): boolean {
    return this.#replay?.isBringing(transactionId) === true;
  }

  #reportMissing(): void {
    for (const { id } of this.#init.entries.rows.messages()) {
      const file = this.#init.files.path(id);
      if (!this.#unwritten.get(id) && !existsSync(file)) {
        this.#init.log.error('queue-message-missing', { id, file });
      }
    }
  }

  /** Never before the end of the entries is on disk: they would come back after a power cut, and their message not. */
  async #removeGone(): Promise<void> {
    clearTimeout(this.#goneTimer);
    this.#goneTimer = undefined;
    const gone = this.#gone;
    this.#gone = [];
    if (gone.length === 0 && !this.#hasEnds) return;
    this.#hasEnds = false;
    try {
      await this.#init.sync();
    } catch (error) {
      // The next start removes them; the ends themselves are on disk with the next sync that works.
      this.#hasEnds = true;
      this.#init.log.warn('queue-files-left', { messages: gone.length, error: describeError(error) });
      return;
    }
    await Promise.all(gone.map((transactionId) => this.#removeUnused(transactionId)));
  }

  /** Removes a file that was written for nothing, once nothing that is not yet committed can bring its entries back. */
  async #takeBack(transactionId: string): Promise<void> {
    try {
      await this.#init.group.run(() => {});
    } catch {
      // A database that refuses writes cannot tell; the next start removes the file.
      return;
    }
    await this.#removeUnused(transactionId);
  }

  /** Removes the message file unless an entry, or a call under way, still needs it. */
  async #removeUnused(transactionId: string): Promise<void> {
    if (
      this.#closed ||
      this.#init.files.isPinned(transactionId) ||
      this.#init.entries.rows.hasMessage(transactionId)
    )
      return;
    this.#unwritten.settle(transactionId);
    try {
      await this.#init.files.remove(transactionId);
    } catch (error) {
      const file = this.#init.files.path(transactionId);
      this.#init.log.warn('queue-file-left', { id: transactionId, file, error: describeError(error) });
    }
  }
}
