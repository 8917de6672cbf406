/** The config after loading: defaults filled in, relative paths made absolute, every field checked. */
import type { Limits } from '../base/limits/settings.ts';
import type { PipelineEntry } from '../plugin/entry.ts';
import type { TlsLevel } from './relay-target.ts';

export type ListenerProtocol =
  | 'smtp'
  | 'submission'
  | 'lmtp'
  | 'milter'
  | 'content-filter'
  | 'proxy-filter'
  | 'imap'
  | 'pop3'
  | 'managesieve';

/** Protocols of those who read mail and keep scripts: the access role speaks them, the mta all others. */
const accessProtocols: ReadonlySet<ListenerProtocol> = new Set(['imap', 'pop3', 'managesieve']);

export function isAccessProtocol(protocol: ListenerProtocol): boolean {
  return accessProtocols.has(protocol);
}

/** Where to listen: `host:port`, `[v6]:port` or `unix:/path`. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string; readonly mode?: number; readonly owner?: string };

/** Where a filter door sends its mail on. */
export interface NextServer {
  readonly address: ListenAddress;
  /** LMTP answers for each recipient; the door then speaks LMTP to its clients as well. */
  readonly protocol: 'smtp' | 'lmtp';
  /** As the config wrote it: `127.0.0.1:10026`, `lmtp:unix:/run/lmtp.sock`. */
  readonly text: string;
}

export interface ListenerConfig {
  /** Key under `listeners`. */
  readonly name: string;
  readonly protocol: ListenerProtocol;
  readonly address: ListenAddress;
  readonly tls: 'none' | 'starttls' | 'implicit';
  /** Key under `pipelines`; doors that filter only. */
  readonly pipeline?: string;
  /** content-filter and proxy-filter only: where the mail goes on. */
  readonly next?: NextServer;
  /** Offer AUTH; default: submission and access protocols. */
  readonly auth: boolean;
  /** Offer AUTH without TLS on loopback and unix sockets only; default false. */
  readonly authWithoutTls: boolean;
  /** Wait this long before the greeting and refuse clients that talk first; 0 turns it off. */
  readonly earlyTalkerDelayMs: number;
  /** RFC 4865: how long mail may be held until its date; 0: not offered. Submission only. */
  readonly futureReleaseSecondsMax: number;
  /** Offer RFC 2852, RFC 6710: where mail is taken into our own queue. */
  readonly deliverBy: boolean;
  readonly priorities: boolean;
}

/** One line of `routes`; the first that matches a recipient decides. */
export interface RouteConfig {
  /** `*`, `@domain`, `@.domain` (and its subdomains) or `local@domain`. */
  readonly to: string;
  /** `any`, `authenticated` (or trustedNetworks), or as `to` for the sender. */
  readonly from: string;
  readonly action:
    | { readonly kind: 'mailbox' }
    /** `via` as relay-target.ts reads it; the password of the user it names. */
    | { readonly kind: 'relay'; readonly via: string; readonly password?: string }
    | { readonly kind: 'lmtp'; readonly to: string }
    /** A program and its arguments; {sender}, {recipient}, {user}, {domain} stand for the mail's. */
    | { readonly kind: 'pipe'; readonly command: readonly string[] }
    | { readonly kind: 'reject'; readonly code: number; readonly enhanced: string; readonly text: string };
}

/** Mail that goes to other hosts. */
export interface OutboundConfig {
  /** Port of MX hosts; 25 but for tests. */
  readonly port: number;
  /** For MX hosts; DANE and MTA-STS may ask for more. */
  readonly tls: TlsLevel;
  readonly dane: boolean;
  readonly mtaSts: boolean;
  /** Port of the hosts that publish MTA-STS policies; 443 but for tests. */
  readonly mtaStsPort: number;
  /** PEM of roots that are trusted besides the system's; absolute. */
  readonly caFile?: string;
  /** Name in EHLO; default: hostname. */
  readonly heloName?: string;
  /** Own addresses to connect from, at most one of each family. */
  readonly addresses: readonly string[];
  /** Mails under way at once, and of them for one destination. */
  readonly connections: number;
  readonly connectionsPerDestination: number;
  readonly messagesPerConnection: number;
  readonly recipientsPerMessage: number;
  /** For one destination; 0: no limit. */
  readonly messagesPerMinute: number;
  /** Domain, or `via` of a route, to what differs for it. */
  readonly destinations: Readonly<Record<string, DestinationConfig>>;
  readonly connectTimeoutSeconds: number;
  /** Contact address of TLS reports (RFC 8460); without it none are sent. */
  readonly tlsReportsFrom?: string;
}

export interface FetchAccount {
  /** Key under `fetch.accounts`. */
  readonly name: string;
  readonly protocol: 'imap' | 'pop3';
  readonly host: string;
  readonly port: number;
  readonly tls: 'implicit' | 'starttls' | 'none';
  readonly user: string;
  readonly password: string;
  /** PEM of roots that are trusted besides the system's; absolute. */
  readonly caFile?: string;
  /** Address that gets the mail. */
  readonly to: string;
  /** IMAP only. */
  readonly folders: readonly string[];
  /** Leave the mail there. */
  readonly keep: boolean;
  readonly everySeconds: number;
}

export interface DestinationConfig {
  readonly connections?: number;
  readonly messagesPerMinute?: number;
  readonly tls?: TlsLevel;
}

export interface Config {
  /** Absolute path of the file this came from, and its directory. */
  readonly file: string;
  readonly baseDirectory: string;
  readonly hostname: string;
  /** Absolute. Holds journal/, spool/, queue/, state/, run/. */
  readonly dataDirectory: string;
  /** System user to become when started as root. */
  readonly user?: string;
  readonly domains: readonly string[];
  readonly listeners: readonly ListenerConfig[];
  readonly pipelines: Readonly<Record<string, readonly PipelineEntry[]>>;
  readonly sendPipeline: string;
  readonly users?: { readonly file: string };
  readonly mailbox: {
    readonly format: 'maildir' | 'mbox';
    /** Template with `{domain}`, `{user}` (local part) and `{address}`; absolute. Maildir: its root. mbox: the INBOX file. */
    readonly path: string;
    /** Separates user and detail in the local part; '' turns subaddresses off. RFC 5233. */
    readonly subaddressSeparator: string;
    readonly quotaBytes: number;
    /**
     * The pipeline whose deliver and moved hooks serve the mailboxes. Absent: the one that the mail came through where
     * that has such hooks, else `inbound`.
     */
    readonly pipeline?: string;
    /** Users' Sieve scripts. */
    readonly sieve: {
      /** Templates as `path`; absolute. The folder of scripts, and the link to the active one. */
      readonly directory: string;
      readonly active: string;
      readonly scriptsMax: number;
      readonly storageBytesMax: number;
      /** Scripts run at IMAP events. RFC 6785. */
      readonly imap: boolean;
    };
    /** Users' rcfiles of procmail. */
    readonly procmail: {
      /** Template as `path`; absolute. */
      readonly rcfile: string;
    };
  };
  readonly routes: readonly RouteConfig[];
  readonly queue: {
    /** Delay before attempt n+1; the last repeats. */
    readonly retrySeconds: readonly number[];
    readonly expireSeconds: number;
    /** Age at which the sender hears that mail still waits; 0: never. RFC 3461 section 4.1. */
    readonly delayNoticeSeconds: number;
    /** Age at which quarantined mail is deleted; 0: never. */
    readonly quarantineSeconds: number;
  };
  readonly outbound: OutboundConfig;
  /** Mailboxes of other servers that `mailfilter fetch` empties. */
  readonly fetch: readonly FetchAccount[];
  readonly durability: 'journal' | 'file';
  readonly journal: { readonly segmentBytes: number; readonly checkpointMs: number };
  /** What a bare CR or LF in DATA becomes. */
  readonly bareNewlines: 'normalise' | 'refuse';
  readonly dns: {
    readonly servers: readonly string[];
    readonly timeoutMs: number;
    /** The servers validate, and nobody sits between them and us: their AD bit is believed. RFC 6698 section 1.3. */
    readonly dnssec: boolean;
  };
  readonly tls?: {
    readonly certFile: string;
    readonly keyFile: string;
    readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
    /** PEM of who signs certificates of users; absent: nobody is asked for one. */
    readonly clientCaFile?: string;
  };
  /** CIDR ranges that may relay. */
  readonly trustedNetworks: readonly string[];
  /** CIDR ranges whose PROXY header is required and believed. */
  readonly proxyFrom: readonly string[];
  /** CIDR ranges that may use XCLIENT and XFORWARD. */
  readonly xclientFrom: readonly string[];
  readonly limits: Limits;
  readonly processes: {
    /** Worker threads for plugins. */
    readonly threads: number;
    /** Heap of each, in MiB. */
    readonly threadMemoryMiB: number;
    /** Access processes; 0 runs none. */
    readonly access: number;
  };
  readonly state: { readonly engine: 'sqlite' | 'memory' };
  readonly trace: { readonly retentionDays: number; readonly retentionBytes: number };
  readonly log: { readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error'; readonly file?: string };
}
