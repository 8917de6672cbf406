/** The queue: what is not carried out at once. One for mail to other hosts, local retry, held mail, delayed mail. */
import type { DsnAction } from '../../core/mail/dsn.ts';
import type { Edit } from '../../core/mail/edit.ts';
import type { Envelope, Recipient } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { DsnWishes } from '../../core/session/plan.ts';

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
      /** What the send hooks made of it, once, before the first attempt. */
      readonly sent?: SentForm;
    }
  /** The sender is to hear what became of recipients that did not fail: delayed, or passed on without a report. */
  | {
      readonly kind: 'notice';
      readonly action: DsnAction;
      readonly reports: readonly NoticeReport[];
    }
  /** New mail that this message caused (redirect, reply, bounce): goes through submit(). */
  | {
      readonly kind: 'submit';
      readonly sender: string;
      readonly recipients: readonly string[];
      readonly edits?: readonly Edit[];
      /** The generated message, one character an octet, CRLF line ends; absent: the transaction's own message. */
      readonly message?: string;
      /** Of a redirect: what the next server is asked about reports. RFC 6009. */
      readonly dsn?: DsnWishes;
      /** Sent only if this key of a plugin's state is free or our own. */
      readonly once?: { readonly key: string; readonly seconds: number; readonly plugin?: string };
    }
  /** A program that the operator named gets the message. */
  | {
      readonly kind: 'run';
      readonly argv: readonly string[];
      readonly recipients: readonly Recipient[];
      readonly edits?: readonly Edit[];
      /** Where the message is stored when the program fails for good: the delivery room's StoreAction. Absent: nowhere. */
      readonly keep?: unknown;
    }
  /** Quarantine: waits for an operator; released, it is delivered as `deliver` is. */
  | {
      readonly kind: 'held';
      readonly reason: string;
      readonly recipients: readonly Recipient[];
      readonly context: unknown;
    };

export interface SentForm {
  /** Reverse-path as it is said to the next hop. */
  readonly sender: string;
  /** After all others. */
  readonly edits: readonly Edit[];
}

export interface NoticeReport {
  readonly recipient: Recipient;
  readonly reply: Reply;
  readonly remoteMta?: string;
  /** Epoch milliseconds. */
  readonly retryUntil?: number;
}

/** Why something was given up, in the words of who decided. */
export type FailureReply = Reply & {
  /** The server that answered; ourselves when absent. */
  readonly remoteMta?: string;
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
  /** Domain or relay that it goes to; '' for what is done here. */
  readonly destination: string;
}

export type NewQueueEntry = Pick<QueueEntry, 'id' | 'transactionId' | 'work' | 'envelope' | 'edits'> & {
  readonly createdAt: number;
  /** First attempt; now when absent. */
  readonly notBefore?: number;
  readonly lastError?: string;
};

/** How one attempt ended. */
export type Attempt =
  | {
      readonly outcome: 'done';
      /** The sender asked to hear of it. */
      readonly notice?: { readonly action: DsnAction; readonly reply: Reply; readonly remoteMta?: string };
    }
  | { readonly outcome: 'retry'; readonly reason: string; readonly remoteMta?: string }
  | { readonly outcome: 'failed'; readonly reply: FailureReply };

/** How an attempt for several entries ended. */
export interface RelayAttempt {
  /** In the order of the entries. */
  readonly attempts: readonly Attempt[];
  /** `down` when no server of the destination could be spoken to. */
  readonly destination: 'up' | 'down' | 'none';
}

/** Given up, and to be told. */
export interface Failure {
  readonly entry: QueueEntry;
  readonly reply: FailureReply;
}

export interface QueueSummaryRow {
  /** '' for what is done here. */
  readonly destination: string;
  readonly entries: number;
  readonly messages: number;
  readonly waiting: number;
  readonly active: number;
  readonly held: number;
  readonly failed: number;
  /** Epoch milliseconds. */
  readonly oldest: number;
  /** One of the reasons. */
  readonly reason: string;
}

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
   * The same for relays: entries of one message that go the same way, with the same edits. `keep` notes what the
   * send hooks made of them, for later attempts; they run again only after a power cut.
   */
  relay?(
    entries: readonly QueueEntry[],
    source: MessageSource,
    keep: (sent: SentForm) => Promise<void>,
  ): Promise<RelayAttempt>;
  /**
   * Called for entries of one message that were given up, so that they can be bounced; again until it resolves. The
   * source is empty when the message itself was lost. Who can tell nobody answers why: then the entries are held for an
   * operator.
   */
  expired(failures: readonly Failure[], source: MessageSource): Promise<{ readonly hold: string } | void>;
}

/**
 * Who enqueues has the entries and the message on disk, and keeps them until the queue has answered and a sync of the
 * queue's file system, begun after that, has succeeded. `again`: an earlier call may have been lost in part.
 */
export type Backing = 'kept' | 'kept-again';

/** What the journal still brings back of an earlier process, while the queue works already. */
export interface Replay {
  /** Resolves when it has brought everything. */
  readonly settled: Promise<unknown>;
  /** Until it has, what the disk holds of that message need not be what was promised: a power cut leaves files in part. */
  isBringing(transactionId: string): boolean;
}

export interface Queue {
  /** Absolute: where everything of it lies. */
  readonly directory: string;
  /**
   * Durable when it resolves, unless somebody keeps it; the message is written once per transaction whatever the number
   * of entries, and perhaps never where somebody keeps it.
   */
  enqueue(entries: readonly NewQueueEntry[], source: MessageSource, backing?: Backing): Promise<void>;
  /** Writes files for messages that have none yet: who keeps them is answered. */
  settle(): Promise<void>;
  /** After a failed sync of its file system: writes these messages again, and the database; what it has not stays away. */
  renew(
    messages: AsyncIterable<{ readonly transactionId: string; readonly source: MessageSource }>,
  ): Promise<void>;
  /** Begins to work; on a message that the journal has still to bring back once it has. */
  start(handlers: QueueHandlers, replay?: Replay): void;
  /** In order of arrival, a bounded number: go on with `after`. */
  list(filter?: QueueFilter): QueueEntry[];
  get(id: string): { entry: QueueEntry; source: MessageSource } | undefined;
  /** How many entries there are in each state. */
  count(): Record<QueueStatus, number>;
  /** How much waits for each destination, the most first. */
  summary(): QueueSummaryRow[];
  /** Destinations that are not tried for a while, since they could not be reached. */
  resting(): { readonly destination: string; readonly until: number }[];
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
