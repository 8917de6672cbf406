/** What is known of a client's connection and session: plain values that cross threads. */
import type { DoorName } from './powers.ts';

export interface TlsInfo {
  /** `TLSv1.3` ... */
  readonly protocol: string;
  readonly cipher: string;
  /** RFC 6066 server name the client asked for. */
  readonly serverName?: string;
  /** Subject of a client certificate that was verified. */
  readonly clientSubject?: string;
  /** Mail addresses that a client certificate names which was verified against `tls.clientCaFile`. */
  readonly clientAddresses?: readonly string[];
}

export interface Connection {
  /** Unique per process start; log lines and traces carry it. */
  readonly id: string;
  readonly door: DoorName;
  /** Name of the listener in the config. */
  readonly listener: string;
  readonly localIp: string;
  readonly localPort: number;
  /** The client's address, after PROXY, XCLIENT or the milter's connect step; `''` for a unix socket. */
  readonly remoteIp: string;
  readonly remotePort: number;
  /** Verified PTR name, where a door or plugin looked it up; `''` when unknown. */
  readonly remoteName: string;
  /** True when the client's address is in `trustedNetworks`. */
  readonly trusted: boolean;
  /** Epoch milliseconds. */
  readonly openedAt: number;
}

export interface Session {
  /** Argument of HELO, EHLO or LHLO; `''` before it. */
  readonly helo: string;
  /** True after EHLO or LHLO. */
  readonly esmtp: boolean;
  readonly tls?: TlsInfo;
  /**
   * The client spoke when it was not its turn: before the greeting, or a command after one whose reply it had to await.
   * RFC 5321 section 4.3.1, RFC 2920 section 3.1.
   */
  readonly talkedEarly?: 'greeting' | 'command';
  /** Address of the authenticated user, and how. */
  readonly user?: string;
  readonly authMethod?: string;
}
