/** The queue: what could not be carried out at once. One for local retry, held mail, delayed mail and, later, outbound. */
import type { Edit } from '../../core/mail/edit.ts';
import type { Envelope, Recipient } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { MessageSource } from '../../core/mail/source.ts';

/** What there is to do for one entry. `store` is opaque here: the flow gives it and carries it out. */
export type QueueWork =
  /** A local copy that failed after the 250; `store` is the delivery room's StoreAction. */
  | {
      readonly kind: 'store';
      readonly store: unknown;
      /** As in `submit`: what is stored in place of the transaction's message. */
      readonly message?: string;
    }
  /** Recipients whose `deliver` hook answered tempfail: it runs again. */
  | {
      readonly kind: 'deliver';
      readonly recipients: readonly Recipient[];
      /** What the hooks before it left; the flow gives it and reads it again. */
      readonly context: unknown;
    }
  /** Mail for another host. */
  | {
      readonly kind: 'relay';
      readonly via: string;
      readonly recipients: readonly Recipient[];
      readonly edits?: readonly Edit[];
    }
  /** New mail that this message caused (redirect, reply, bounce): goes through submit(). */
  | {
      readonly kind: 'submit';
      readonly sender: string;
      readonly recipients: readonly string[];
      readonly edits?: readonly Edit[];
      /** The generated message, one character an octet, CRLF line ends; absent: the transaction's own message. */
      readonly message?: string;
      /** Sent only if this key of a plugin's state is free or our own. */
      readonly once?: { readonly key: string; readonly seconds: number; readonly plugin?: string };
    }
  /** Quarantine: waits for an operator; released, it is delivered as `deliver` is. */
  | {
      readonly kind: 'held';
      readonly reason: string;
      readonly recipients: readonly Recipient[];
      readonly context: unknown;
    };

export type QueueStatus = 'waiting' | 'active' | 'held' | 'failed';

export interface QueueEntry {
  /** Action id; enqueueing the same id again does nothing. */
  readonly id: string;
  readonly transactionId: string;
  readonly work: QueueWork;
  readonly envelope: Envelope;
  /** Common edits, applied to the message when it is rendered. */
  readonly edits: readonly Edit[];
  readonly status: QueueStatus;
  readonly attempts: number;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly nextAttemptAt: number;
  readonly expiresAt: number;
  /** Why the last attempt did not succeed. */
  readonly lastError: string;
  /** Octets of the message. */
  readonly length: number;
}

export type NewQueueEntry = Pick<QueueEntry, 'id' | 'transactionId' | 'work' | 'envelope' | 'edits'> & {
  readonly createdAt: number;
  /** First attempt; now when absent. */
  readonly notBefore?: number;
  readonly lastError?: string;
};

/** How one attempt ended. */
export type Attempt =
  | { readonly outcome: 'done' }
  | { readonly outcome: 'retry'; readonly reason: string }
  | { readonly outcome: 'failed'; readonly reply: Reply };

export interface QueueFilter {
  readonly status?: QueueStatus;
  readonly transactionId?: string;
  /** Entries after the one of that id. */
  readonly after?: string;
  /** At most 1000, which is also the default. */
  readonly limit?: number;
}

/** What the queue asks for. A handler bounds its own time; one that rejects counts as a retry. */
export interface QueueHandlers {
  /** Called for what is due. May be called again for the same entry after a crash. */
  attempt(entry: QueueEntry, source: MessageSource): Promise<Attempt>;
  /**
   * Called for what was given up, so that it can be bounced; again until it resolves. The source is empty when the
   * message itself was lost. Who can tell nobody answers why: then the entry is held for an operator.
   */
  expired(entry: QueueEntry, source: MessageSource, reply: Reply): Promise<{ readonly hold: string } | void>;
}

export interface Queue {
  /** Durable when it resolves; the message is written once per transaction whatever the number of entries. */
  enqueue(entries: readonly NewQueueEntry[], source: MessageSource): Promise<void>;
  /** Begins to work. */
  start(handlers: QueueHandlers): void;
  /** In order of arrival, a bounded number: go on with `after`. */
  list(filter?: QueueFilter): QueueEntry[];
  get(id: string): { entry: QueueEntry; source: MessageSource } | undefined;
  /** How many entries there are in each state. */
  count(): Record<QueueStatus, number>;
  /** Due now; true when the entry was waiting or failed. */
  retry(id: string): Promise<boolean>;
  /** Waits for an operator; what runs already may still end it. */
  hold(id: string, reason: string): Promise<boolean>;
  /** A held entry is due now, and has its whole time before it. */
  release(id: string): Promise<boolean>;
  /** Gone without a word to anybody; its id counts as done. */
  remove(id: string): Promise<boolean>;
  /** Stops taking work, waits for what runs. */
  close(): Promise<void>;
}
