/** Who keeps the mail in our place: the MTA whose milter we are, or the server behind a filter door. Nothing is routed or delivered here then. */
import type { Edit } from '../../core/mail/edit.ts';
import type { Envelope, Recipient, RecipientId } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { Connection, Session } from '../../core/session/connection.ts';
import type { Answer } from './session.ts';
import type { Outcome } from './settle.ts';

export interface Keeper {
  /** For the trace, and where the mail would go on if it waited here: `127.0.0.1:10026`, `milter`. */
  readonly via: string;
  /** Each RCPT has an answer of its own after the data, as in LMTP. */
  readonly answersPerRecipient: boolean;
  /** The message passes through us and gets our Received; what a milter sees does not. */
  readonly receives: boolean;
  /** Mail that is to be held is held by the keeper, as an MTA does that its milter asks for it; else by us. */
  readonly holds?: boolean;
  /** Asked once plugins have let MAIL pass; undefined takes it. */
  begin?(offer: Offer): Promise<Answer>;
  /** Asked once plugins have let a RCPT pass, with all it became; undefined takes them. */
  admit?(offer: Offer, recipients: readonly Recipient[]): Promise<Answer>;
  /**
   * Takes the message over: one answer for each recipient of `decision.recipients`. A 2yz makes the keeper responsible,
   * so that it must not be given before the keeper has said so itself. A rejection is answered as a failure of ours.
   */
  keep(decision: Decision): Promise<ReadonlyMap<RecipientId, Reply>>;
  /** The transaction is over, kept or come to nothing. */
  abandon?(): void;
}

/** A transaction as it stands while recipients are still coming. */
export interface Offer {
  readonly id: string;
  readonly connection: Connection;
  readonly session: Session;
  /** Recipients that were taken before; the sender as hooks left it. */
  readonly envelope: Envelope;
}

/** What plugins decided about a message, all hooks run. */
export interface Decision extends Offer {
  readonly source: MessageSource;
  /** Octets that are no lines: a bare CR, LF or NUL of BINARYMIME. */
  readonly binary: boolean;
  /** For every copy, in order; those of an envelope are in `envelope` already and stand here too. */
  readonly edits: readonly Edit[];
  /** What single copies have on top. */
  readonly recipientEdits: Readonly<Record<RecipientId, readonly Edit[]>>;
  /** Whom the mail goes on to; of two that share a copy only the first. */
  readonly recipients: readonly Recipient[];
  /** Of every recipient, those who get nothing included. */
  readonly outcomes: ReadonlyMap<RecipientId, Outcome>;
}
