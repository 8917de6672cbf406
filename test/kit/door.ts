/** A real SMTP, submission or LMTP door on a loopback port, in front of a fake flow. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { defaultLimits, type Limits } from '../../core/base/limits/settings.ts';
import type { Log, LogFacts } from '../../core/base/log.ts';
import type { Config, ListenerConfig } from '../../core/config/config.ts';
import { ipMatcher } from '../../core/net/ip.ts';
import { TlsContexts } from '../../core/net/tls.ts';
import { createSmtpDoor, type SmtpDoor } from '../../src/ingress/smtp.ts';
import { ConnectionCount } from '../../src/sockets/connection-count.ts';
import { type FakeAnswers, FakeFlow } from './fake-flow.ts';

export interface DoorInit {
  listener?: Partial<ListenerConfig>;
  config?: Partial<Config>;
  limits?: Partial<Limits>;
  answers?: FakeAnswers;
  authFailureDelayMs?: number;
  certificate?: { certFile: string; keyFile: string } | 'none';
}

export interface TestDoor {
  readonly door: SmtpDoor;
  readonly flow: FakeFlow;
  readonly port: number;
  readonly log: Log;
  readonly logged: { readonly event: string; readonly facts: LogFacts }[];
  readonly connections: ConnectionCount;
  readonly tls: TlsContexts | undefined;
  readonly config: Config;
}

/** Closed when the test ends. */
export async function openDoor(t: Pick<TestContext, 'after'>, init: DoorInit = {}): Promise<TestDoor> {
  const listener: ListenerConfig = {
    name: 'test',
    protocol: 'smtp',
    address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    tls: 'none',
    auth: init.listener?.protocol === 'submission',
    authWithoutTls: false,
    earlyTalkerDelayMs: 0,
    ...{ futureReleaseSecondsMax: 0, deliverBy: false, priorities: false },
    ...init.listener,
  };
  const limits: Limits = { ...defaultLimits, ...init.limits };
  const config = {
    hostname: 'mx.example.test',
    bareNewlines: 'normalise',
    trustedNetworks: [],
    proxyFrom: [],
    xclientFrom: [],
    listeners: [listener],
    ...init.config,
    limits,
  } as Partial<Config> as Config;
  const flow = new FakeFlow(init.answers);
  const { log, logged } = memoryLog();
  const connections = new ConnectionCount(limits, ipMatcher(config.trustedNetworks));
  const files = init.certificate ?? (listener.tls === 'none' ? 'none' : certificate());
  const tls = files === 'none' ? undefined : new TlsContexts({ ...files, minVersion: 'TLSv1.2' });
  const authFailureDelayMs = init.authFailureDelayMs ?? 1;
  const door = await createSmtpDoor({
    ...{ listener, config, log, connections, authFailureDelayMs },
    ...{ openSession: flow.open, tls },
  });
  t.after(() => door.close(0));
  const port = door.address.kind === 'tcp' ? door.address.port : 0;
  return { door, flow, port, log, logged, connections, tls, config };
}

/** A log that keeps what it is told. */
export function memoryLog(): { log: Log; logged: TestDoor['logged'] } {
  const logged: TestDoor['logged'] = [];
  const add = (event: string, facts: LogFacts = {}) => void logged.push({ event, facts });
  const log: Log = {
    ...{ trace: add, debug: add, info: add, warn: add, error: add },
    enabled: () => true,
    child: () => log,
  };
  return { log, logged };
}

let made: { certFile: string; keyFile: string } | undefined;

/** A self-signed certificate for mx.example.test, made once per process by openssl. */
export function certificate(): { certFile: string; keyFile: string } {
  made ??= makeCertificate('mx.example.test');
  return made;
}

/** Removed when the process ends. */
export function makeCertificate(name: string): { certFile: string; keyFile: string } {
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-cert-'));
  process.once('exit', () => rmSync(directory, { recursive: true }));
  const files = { certFile: join(directory, 'cert.pem'), keyFile: join(directory, 'key.pem') };
  const key = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-keyout',
    files.keyFile,
  ];
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name},DNS:localhost`];
  execFileSync('openssl', ['req', '-x509', ...key, '-out', files.certFile, '-days', '2', ...subject], {
    stdio: 'ignore',
  });
  return files;
}
