/** The SMTP envelope of one transaction. RFC 5321 section 2.3.1, with the parameters of its extensions. */

/** Names one recipient within one transaction: `r1`, `r2` ... in the order of acceptance. Stable across edits. */
export type RecipientId = string;

export type DsnNotify = 'never' | 'success' | 'failure' | 'delay';

export interface Recipient {
  readonly id: RecipientId;
  /** Mailbox as `local@domain` without brackets; the domain in lower case, U-labels kept as they came. */
  readonly address: string;
  /** What the client gave before any plugin rewrote it; equal to `address` otherwise. */
  readonly original: string;
  /** RFC 3461 NOTIFY; empty when the client gave none. */
  readonly notify: readonly DsnNotify[];
  /** RFC 3461 ORCPT as `addr-type;xtext-decoded address`. */
  readonly orcpt?: string;
  /** ESMTP parameters we do not interpret, keyword in upper case. */
  readonly parameters?: Readonly<Record<string, string | true>>;
}

/** A user who authenticated, a client in `trustedNetworks`, or this server itself (bounces, replies). */
export type MailOrigin = 'user' | 'trusted' | 'house';

export interface FutureRelease {
  /** Epoch milliseconds. */
  readonly at: number;
  /** As it was asked for, in the words of a report: `for;3600`, `until;2026-12-24T18:00:00Z`. */
  readonly request: string;
}

export interface DeliverBy {
  /** Epoch milliseconds. */
  readonly until: number;
  /** What happens then: the mail goes back, or its sender hears that it is late. */
  readonly mode: 'return' | 'notify';
  /** The sender wants to hear of every server that passes it on. */
  readonly trace: boolean;
}

export interface Envelope {
  /** Reverse-path without brackets; empty string for the null reverse-path. */
  readonly sender: string;
  readonly recipients: readonly Recipient[];
  /** Highest number of an id whose recipient was taken off: no id is given twice in a transaction. */
  readonly removedIds?: number;
  /** RFC 6152, RFC 3030. */
  readonly body: '7bit' | '8bitmime' | 'binarymime';
  /** RFC 6531. */
  readonly smtputf8: boolean;
  /** RFC 8689. */
  readonly requireTls: boolean;
  /** RFC 1870: what the client declared, in octets. */
  readonly declaredSizeBytes?: number;
  /** RFC 3461 RET and ENVID. */
  readonly ret?: 'full' | 'hdrs';
  readonly envid?: string;
  /** RFC 4954 section 5 AUTH parameter, decoded; `<>` when unknown. */
  readonly auth?: string;
  /** RFC 4865: not delivered before. */
  readonly futureRelease?: FutureRelease;
  /** RFC 2852. */
  readonly deliverBy?: DeliverBy;
  /** RFC 6710: -9 to 9, absent as 0. */
  readonly priority?: number;
  /** ESMTP parameters we do not interpret, keyword in upper case. */
  readonly parameters?: Readonly<Record<string, string | true>>;
  /** Whose mail it is, where it is ours to answer for; absent for what strangers sent, and for what goes on of it. */
  readonly origin?: MailOrigin;
}
