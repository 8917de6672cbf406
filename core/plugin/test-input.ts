/** Hook inputs for tests, from the few facts that a test is about. */
import type { Json } from '../base/json.ts';
import type { Envelope, Recipient } from '../mail/envelope.ts';
import { type MessageSource, memorySource } from '../mail/source.ts';
import type { Connection, Session } from '../session/connection.ts';
import type { ImapEvent } from '../session/imap-event.ts';
import type { AuthResult, ScoredSymbol } from '../session/results.ts';

/** What a test may say; all else is an ordinary SMTP transaction from 192.0.2.1 to alice@example.test. */
export interface TestInput {
  readonly id?: string;
  readonly connection?: Partial<Connection>;
  readonly session?: Partial<Session>;
  readonly sender?: string;
  /** Addresses, in order `r1`, `r2` ...; or whole recipients. */
  readonly recipients?: readonly (string | Recipient)[];
  readonly envelope?: Partial<Omit<Envelope, 'sender' | 'recipients'>>;
  /** Any line ends in a string become CRLF; octets are taken as they are. */
  readonly message?: string | Uint8Array;
  /** What plugins before this one left, by name. */
  readonly results?: Readonly<Record<string, Json>>;
  readonly score?: number;
  readonly symbols?: readonly ScoredSymbol[];
  /** Authentication results of the plugins before. */
  readonly auth?: readonly AuthResult[];
  /** rcptTo and deliver: the recipient in question. */
  readonly recipient?: string | Recipient;
  readonly route?: 'mailbox' | 'relay' | 'unknown-user' | 'refused';
  readonly user?: string;
  readonly detail?: string;
  readonly nextHop?: string;
  /** moved. */
  readonly from?: string;
  readonly to?: string;
  readonly flags?: readonly string[];
  readonly event?: ImapEvent;
  /** close. */
  readonly reason?: string;
}

const ordinaryMessage = 'From: sender@example.org\nTo: alice@example.test\nSubject: test\n\nHello.\n';

export function testConnection(connection: Partial<Connection> = {}): Connection {
  return {
    id: 'test-connection',
    door: 'smtp',
    listener: 'mx',
    localIp: '192.0.2.25',
    localPort: 25,
    remoteIp: '192.0.2.1',
    remotePort: 49152,
    remoteName: 'client.example.org',
    trusted: false,
    openedAt: 0,
    ...connection,
  };
}

export function testSession(session: Partial<Session> = {}): Session {
  return { helo: 'client.example.org', esmtp: true, ...session };
}

export function testEnvelope({ sender, recipients, envelope }: TestInput = {}): Envelope {
  return {
    sender: sender ?? 'sender@example.org',
    recipients: (recipients ?? ['alice@example.test']).map((recipient, index) =>
      testRecipient(recipient, `r${index + 1}`),
    ),
    body: '8bitmime',
    smtputf8: false,
    requireTls: false,
    ...envelope,
  };
}

export function testRecipient(recipient: string | Recipient, id = 'r1'): Recipient {
  return typeof recipient === 'string'
    ? { id, address: recipient, original: recipient, notify: [] }
    : recipient;
}

/** A message in memory, as it would come from the network. */
export function testMessage(message: string | Uint8Array = ordinaryMessage): MessageSource {
  const bytes = typeof message === 'string' ? Buffer.from(message.replace(/\r\n|\r|\n/g, '\r\n')) : message;
  return memorySource(bytes);
}
