/** The doors for SMTP (RFC 5321), message submission (RFC 6409) and LMTP (RFC 2033). */
import { type Clock, systemClock } from '../../core/base/clock.ts';
import { OperationalError } from '../../core/base/errors.ts';
import { authFailureDelayMs } from '../../core/base/limits/doors.ts';
import { drainLimits } from '../../core/base/limits/process.ts';
import type { Log } from '../../core/base/log.ts';
import type { Config, ListenAddress, ListenerConfig } from '../../core/config/config.ts';
import { ipMatcher } from '../../core/net/ip.ts';
import type { TlsContexts } from '../../core/net/tls.ts';
import type { OpenSession } from '../flow/session.ts';
import type { ConnectionCount } from '../sockets/connection-count.ts';
import { listen } from '../sockets/listen.ts';
import { SmtpServer } from './smtp/server.ts';
import type { DoorSettings, ReloadableSettings, SmtpProtocol } from './smtp/settings.ts';

export interface SmtpDoorOptions {
  readonly listener: ListenerConfig;
  readonly config: Config;
  readonly openSession: OpenSession;
  readonly log: Log;
  /** Needed where the listener offers TLS; its reload() changes the certificate of later handshakes. */
  readonly tls?: TlsContexts;
  /** Shared by all doors of the process. */
  readonly connections: ConnectionCount;
  /** Numeric ids for the file of a unix socket. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  readonly clock?: Clock;
  /** Instead of the limit of that name. */
  readonly authFailureDelayMs?: number;
}

export interface SmtpDoor {
  /** As bound, with the port that port 0 became. */
  readonly address: ListenAddress;
  /** Takes limits, networks and the listener's options from a new config; running sessions see them too. */
  reconfigure(config: Config): void;
  /**
   * Stops listening, sends 421 4.3.2 to sessions without a transaction, waits for the others and cuts those that are
   * left after `drainMs`; a message that is being decided then has `decisionMs` more to be answered, after which its
   * socket is closed without an answer. Resolves when all sockets are closed and all close hooks have run, or when
   * those of abandoned messages are late.
   */
  close(drainMs: number, decisionMs?: number): Promise<void>;
}

/** @throws OperationalError `listen` or `tls-missing`, which name listener and option. */
export async function createSmtpDoor(options: SmtpDoorOptions): Promise<SmtpDoor> {
  const { listener, config } = options;
  if (listener.tls !== 'none' && options.tls === undefined) {
    throw new OperationalError(
      'tls-missing',
      `listener "${listener.name}" offers TLS: set tls.certFile and tls.keyFile, or listeners.${listener.name}.tls to "none"`,
      { temporary: false },
    );
  }
  const door: DoorSettings = {
    ...reloadable(config, listener),
    protocol: listener.protocol as SmtpProtocol,
    lmtp: listener.protocol === 'lmtp' || listener.next?.protocol === 'lmtp',
    clientCertificates: listener.auth && config.tls?.clientCaFile !== undefined,
    startTls: listener.tls === 'starttls',
    authFailureDelayMs: options.authFailureDelayMs ?? authFailureDelayMs,
    openSession: options.openSession,
    log: options.log,
    clock: options.clock ?? systemClock,
    draining: false,
    coarseMs: performance.now(),
  };
  const server = new SmtpServer(door, options.connections, options.tls);
  const address = await listen(server.server, listener, options);
  const sweeper = startSweeper(server);
  return {
    address,
    reconfigure: (next) =>
      void Object.assign(
        door,
        reloadable(next, next.listeners.find(({ name }) => name === listener.name) ?? listener),
      ),
    close: async (drainMs, decisionMs = drainLimits.decisionMs) => {
      await drain(server, drainMs, decisionMs);
      clearInterval(sweeper);
    },
  };
}

function reloadable(config: Config, listener: ListenerConfig): ReloadableSettings {
  return {
    listener,
    hostname: config.hostname,
    limits: config.limits,
    bareNewlines: config.bareNewlines,
    trusted: ipMatcher(config.trustedNetworks),
    xclientFrom: ipMatcher(config.xclientFrom),
    proxyFrom: ipMatcher(config.proxyFrom),
  };
}

/** One timer for the deadlines of all connections; timeouts come late by an eighth at most. */
function startSweeper(server: SmtpServer): NodeJS.Timeout {
  const { idleTimeoutMs, dataTimeoutMs } = server.door.limits;
  const everyMs = Math.min(5000, Math.max(10, Math.min(idleTimeoutMs, dataTimeoutMs) / 8));
  return setInterval(() => {
    server.door.coarseMs = performance.now();
    for (const connection of server.live) connection.sweep();
  }, everyMs).unref();
}

async function drain(server: SmtpServer, drainMs: number, decisionMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.server.close(() => resolve()));
  server.door.draining = true;
  for (const connection of server.live) {
    if (connection.smtp.busy === undefined) connection.smtp.settle();
  }
  // Handshakes and PROXY headers that are still to come belong to no session.
  for (const socket of server._pendingSockets.values()) socket.destroy();
  const cut = setTimeout(() => {
    for (const connection of server.live) connection.cut();
  }, drainMs);
  const late = Promise.withResolvers<void>();
  const abandon = setTimeout(() => {
    for (const connection of server.live) connection.abandon();
    // A session's close hooks wait for its message, which may never be decided.
    setTimeout(late.resolve, drainLimits.closeHooksMs);
  }, drainMs + decisionMs);
  await Promise.race([closed.then(() => server.ended()), late.promise]);
  clearTimeout(cut);
  clearTimeout(abandon);
}
