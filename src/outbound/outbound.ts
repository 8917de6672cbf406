/** Mail to other hosts: what the flow asks for, and what it hears for each recipient. */
import type { Envelope, Recipient } from '../../core/mail/envelope.ts';
import type { Rendered } from '../../core/mail/render.ts';
import type { Reply } from '../../core/mail/reply.ts';

export interface OutboundMail {
  /** Transaction id, for the log. */
  readonly id: string;
  /** As the queue has it: `mx`, a relay's text, `lmtp:...`, `pipe:[...]`. */
  readonly via: string;
  /** Of the user that `via` names. */
  readonly password?: string;
  /** Reverse-path as it is to be said. */
  readonly sender: string;
  /** For `mx` all of one domain. */
  readonly recipients: readonly Recipient[];
  readonly envelope: Pick<
    Envelope,
    'body' | 'smtputf8' | 'requireTls' | 'ret' | 'envid' | 'deliverBy' | 'priority'
  >;
  readonly rendered: Rendered;
}

export interface RecipientOutcome {
  readonly outcome: 'delivered' | 'deferred' | 'failed';
  /** What was answered; ours where nobody was reached. */
  readonly reply: Reply;
  /** `mx.example.org [192.0.2.1]`, where a server was spoken to. */
  readonly remoteMta?: string;
  /** Protocol, such as `TLSv1.3`; absent without TLS. */
  readonly tls?: string;
  /** The next host reports on from here, as DSN asks. RFC 3461 section 5.2. */
  readonly reportsOn?: boolean;
}

export interface OutboundResult {
  /** In the order of the recipients. */
  readonly recipients: readonly RecipientOutcome[];
  /** `down` when no server could be spoken to. */
  readonly destination: 'up' | 'down' | 'none';
}

export interface Outbound {
  /** One attempt, in bounded time. Never rejects for what the world does; a bug rejects. */
  send(mail: OutboundMail): Promise<OutboundResult>;
  /** Ends idle connections. */
  close(): Promise<void>;
}
