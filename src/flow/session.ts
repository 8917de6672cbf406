/**
 * What a door (SMTP, LMTP, milter ...) asks of the flow. The door speaks the protocol; every decision is made behind
 * this interface. All methods answer with values; a rejection is a bug and the door answers 451.
 */
import type { Envelope, Recipient } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { ScramHash, ScramKeys } from '../../core/net/scram.ts';
import type { Connection, TlsInfo } from '../../core/session/connection.ts';
import type { Keeper } from './keeper.ts';

/** `undefined` lets the client go on; a reply of 4yz or 5yz refuses; 421 and 521 also close the connection. */
export type Answer = Reply | undefined;

/** The reverse-path with its ESMTP parameters, recipients not yet known. */
export type MailFrom = Omit<Envelope, 'recipients'> & {
  /** The client wants an answer for each recipient: PRDR, draft-hall-prdr. */
  readonly prdr?: boolean;
  /** The client asked for a higher priority than it may have, and hears so. RFC 6710. */
  readonly priorityLowered?: boolean;
};
/** What RCPT gave; the flow assigns the id. */
export type RcptTo = Omit<Recipient, 'id' | 'original'>;

/** Bytes of a message on their way in: memory while small, a spool file when large. */
export interface MessageSink {
  /** Takes message octets with CRLF line ends, dots unstuffed. A promise means: wait before the next write. */
  write(chunk: Uint8Array): void | Promise<void>;
  /** Octets so far. */
  readonly length: number;
  /** Ends the message. Rejects with an OperationalError when the spool failed (452 4.3.1, 451 4.3.0). */
  finish(): Promise<SpooledMessage>;
  /** Drops what was written. */
  abort(): void;
}

export interface SpooledMessage {
  readonly source: MessageSource;
  /** CRC-32 of the bytes as they were received. */
  readonly crc32: number;
  /** BINARYMIME only: holds a bare CR, a bare LF or NUL, which a store of lines cannot keep (554 5.6.3). */
  readonly binary?: boolean;
  /** SHA-256 of the same bytes, where they lie in a spool file. */
  readonly sha256?: Uint8Array;
  /** Gives the memory slot back, or removes the spool file unless it was kept. Once only. */
  release(): void;
}

/** Who logs in by SCRAM. RFC 5802. */
export interface ScramLogin {
  readonly keys: ScramKeys;
  /** @param proven the proof held; then the auth hooks run, as in `authenticate` */
  conclude(method: string, proven: boolean): Promise<{ user: string } | { refused: Reply }>;
}

/** A message that the door keeps until it is accepted, and so may bring a second time: it must not be delivered twice. */
export interface KnownMail {
  /** Of the transaction, the same each time: letters and digits. */
  readonly id: string;
  /** Epoch milliseconds at which it came. */
  readonly at: number;
  /** It may have been accepted before, by an attempt of which nothing is known. */
  readonly repeated: boolean;
}

export interface FlowSession {
  readonly connection: Connection;
  /** Raised before the greeting. */
  connect(): Promise<Answer>;
  /** The client did not wait for its turn; the first time counts. The hooks that follow are told. */
  talkedEarly?(before: 'greeting' | 'command'): void;
  helo(name: string, esmtp: boolean): Promise<Answer>;
  /** After a TLS handshake; the SMTP state is reset by the door. */
  secured(tls: TlsInfo): void;
  /** Checks the password, then runs the auth hooks. `user` is the canonical address on success. */
  authenticate(
    method: string,
    address: string,
    password: string,
  ): Promise<{ user: string } | { refused: Reply }>;
  /** Logins where the password is proved and never shown. */
  readonly scram: {
    /** Those that every user can use; none where no keys are kept. */
    hashes(): readonly ScramHash[];
    /** Keys to check a proof with, made up where there is no such user. Only for a hash of `hashes`. */
    candidate(address: string, hash: ScramHash): ScramLogin;
  };
  /**
   * The user is known without a password: from a listed proxy (XCLIENT LOGIN), where the auth hooks run, or from the
   * MTA that keeps the mail, whose users are not ours to know.
   */
  assume?(user: string, method?: string): Promise<{ user: string } | { refused: Reply }>;
  mailFrom(mailFrom: MailFrom, known?: KnownMail): Promise<Answer>;
  rcptTo(rcptTo: RcptTo): Promise<Answer>;
  /** Raised at DATA, or at the first BDAT of a transaction, once. */
  data(): Promise<Answer>;
  /** Where the bytes go; the door writes what it reads. */
  openMessage(): MessageSink;
  /**
   * The walk: hooks, plan, journal, 250. One reply per accepted recipient in order of acceptance where the door is
   * LMTP or the client said PRDR, exactly one otherwise. The flow releases the spooled message.
   */
  message(spooled: SpooledMessage): Promise<readonly Reply[]>;
  /** RSET, a new HELO, or a transaction the door gave up. */
  reset(): void;
  /** The connection ended; runs the close hooks. */
  close(reason: 'quit' | 'lost' | 'timeout' | 'limit' | 'shutdown'): Promise<void>;
}

/** Hands a new connection to the flow. @param keeper who takes its mail in our place; without one we do */
export type OpenSession = (connection: Connection, keeper?: Keeper) => FlowSession;
