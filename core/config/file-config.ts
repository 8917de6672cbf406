/** mailfilter.json as read: checked against the schema, its defaults filled in, paths and addresses still as written. */
import type { Json } from '../base/json.ts';
import type { Limits } from '../base/limits/settings.ts';
import type { FailurePolicy } from '../plugin/entry.ts';
import type { Config, FetchAccount, ListenerProtocol, OutboundConfig } from './config.ts';

export interface FileListener {
  protocol: ListenerProtocol;
  address: string;
  tls?: 'none' | 'starttls' | 'implicit';
  pipeline?: string;
  next?: string;
  auth?: boolean;
  authWithoutTls: boolean;
  earlyTalkerDelayMs: number;
  futureReleaseSecondsMax?: number;
  deliverBy?: boolean;
  priorities?: boolean;
  socketMode?: string;
  socketOwner?: string;
}

export interface FilePipelineEntry {
  plugin: string;
  options?: Record<string, Json>;
  onFailure: FailurePolicy;
  timeoutSeconds: number;
  shadow: boolean;
}

export interface FileRoute {
  to: string;
  from: string;
  deliver?: string;
  relay?: string;
  lmtp?: string;
  pipe?: string[];
  /** Of a relay that names a user; `{ env }` or `{ file }` stands for it. */
  password?: Json;
  reject?: string;
}

export interface FileConfig {
  hostname: string;
  dataDirectory: string;
  user?: string;
  domains: string[];
  listeners: Record<string, FileListener>;
  pipelines: Record<string, (string | FilePipelineEntry)[]>;
  sendPipeline: string;
  users?: { file: string };
  mailbox: {
    format: 'maildir' | 'mbox';
    path?: string;
    subaddressSeparator: string;
    quotaBytes: number;
    pipeline?: string;
    sieve: {
      directory?: string;
      active?: string;
      scriptsMax: number;
      storageBytesMax: number;
      imap: boolean;
    };
    procmail: { rcfile?: string };
  };
  routes?: FileRoute[];
  queue: {
    retrySeconds: number[];
    expireSeconds: number;
    delayNoticeSeconds: number;
    quarantineSeconds: number;
  };
  fetch: {
    accounts: Record<
      string,
      Omit<FetchAccount, 'name' | 'port' | 'password' | 'folders'> & {
        port?: number;
        password: Json;
        folders: string[];
      }
    >;
  };
  outbound: Omit<OutboundConfig, 'caFile'> & { caFile?: string };
  durability: Config['durability'];
  journal: Config['journal'];
  bareNewlines: Config['bareNewlines'];
  dns: { servers: string[]; timeoutMs: number; dnssec: boolean };
  tls?: { certFile: string; keyFile: string; minVersion: 'TLSv1.2' | 'TLSv1.3'; clientCaFile?: string };
  trustedNetworks: string[];
  proxyFrom: string[];
  xclientFrom: string[];
  limits: Limits;
  processes: { threads?: number; threadMemoryMiB: number; access: number };
  state: Config['state'];
  trace: Config['trace'];
  log: { level: Config['log']['level']; file?: string };
}
