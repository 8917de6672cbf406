/** What all sessions of one door share: its configuration, its view of the network, and the flow behind it. */
import type { Clock } from '../../../core/base/clock.ts';
import type { Limits } from '../../../core/base/limits/settings.ts';
import type { Log } from '../../../core/base/log.ts';
import type { Config, ListenerConfig } from '../../../core/config/config.ts';
import type { Reply } from '../../../core/mail/reply.ts';
import type { IpMatcher } from '../../../core/net/ip.ts';
import type { ChannelBindings } from '../../../core/net/scram.ts';
import type { TlsInfo } from '../../../core/session/connection.ts';
import type { OpenSession } from '../../flow/session.ts';

export type SmtpProtocol = 'smtp' | 'submission' | 'lmtp' | 'content-filter' | 'proxy-filter';

/** The part that a reload of the config may exchange while sessions go on. */
export interface ReloadableSettings {
  listener: ListenerConfig;
  hostname: string;
  limits: Limits;
  bareNewlines: Config['bareNewlines'];
  trusted: IpMatcher;
  xclientFrom: IpMatcher;
  /** A PROXY header is required from these, and from nobody else. */
  proxyFrom: IpMatcher;
}

export interface DoorSettings extends ReloadableSettings {
  readonly protocol: SmtpProtocol;
  /** LMTP is spoken: LHLO, and an answer for each recipient. */
  readonly lmtp: boolean;
  /** Certificates are asked for in the handshake; who shows none goes on without. */
  readonly clientCertificates: boolean;
  /** STARTTLS can be given. */
  readonly startTls: boolean;
  /** Pause before each negative answer to AUTH. */
  readonly authFailureDelayMs: number;
  readonly openSession: OpenSession;
  readonly log: Log;
  readonly clock: Clock;
  /** True once the door is closing: no session starts a further transaction. */
  draining: boolean;
  /** Monotonic milliseconds, moved on by the door several times per shortest timeout: deadlines need no more. */
  coarseMs: number;
}

/** The two ends of the socket, after PROXY. */
export interface Peer {
  readonly id: string;
  readonly localIp: string;
  readonly localPort: number;
  readonly remoteIp: string;
  readonly remotePort: number;
}

/** What a session asks of the socket it talks through. */
export interface Wire {
  /** Adds a reply to the next write. */
  reply(reply: Reply): void;
  /** Writes what was added so far, at the end of this turn of the event loop. */
  flush(): void;
  /** False when the client takes what is written; else calls `resume` once it does. */
  whenDrained(resume: () => void): boolean;
  /** Writes what was added, discards all input so far and shakes hands (RFC 3207); resolves when `secured` was called or the socket is gone. */
  startTls(secured: (tls: TlsInfo) => void): Promise<void>;
  /** What both ends of the TLS connection know; undefined without TLS. */
  bindings(): ChannelBindings | undefined;
  /** Writes what was added, and closes. */
  end(): void;
}

export type CloseReason = 'quit' | 'lost' | 'timeout' | 'limit' | 'shutdown';
