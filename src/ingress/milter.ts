/**
 * The milter door: an MTA (Postfix, Sendmail) asks about each step of its clients' sessions and carries out what the
 * pipeline decided. Nothing is routed, delivered or journalled here.
 */
import { createServer, type Socket } from 'node:net';
import { drainLimits } from '../../core/base/limits/process.ts';
import { ipMatcher, plainIp } from '../../core/net/ip.ts';
import type { MilterCommand } from '../../core/net/milter/index.ts';
import type { Connection } from '../../core/session/connection.ts';
import type { RaisedHooks } from '../flow/open-session.ts';
import { listen } from '../sockets/listen.ts';
import { quickAck } from '../sockets/quick-ack.ts';
import { MilterConnection } from './milter/connection.ts';
import type { Macros } from './milter/macros.ts';
import { MilterSession, type SessionHost } from './milter/session.ts';
import type { SmtpDoor, SmtpDoorOptions } from './smtp.ts';

export interface MilterDoorOptions extends SmtpDoorOptions {
  /** Asked at each negotiation: steps that no plugin has a hook for are declined. */
  readonly raisedHooks: RaisedHooks;
}

/** @throws OperationalError `listen`, which names listener and option */
export async function createMilterDoor(options: MilterDoorOptions): Promise<SmtpDoor> {
  const { listener, connections, log } = options;
  const live = new Set<MilterConnection>();
  const state = {
    config: options.config,
    trusted: ipMatcher(options.config.trustedNetworks),
    draining: false,
  };
  const host: SessionHost = {
    listener: listener.name,
    silent: listener.address.kind === 'unix' || quickAck !== undefined,
    log,
    openSession: options.openSession,
    raisedHooks: options.raisedHooks,
    get limits() {
      return state.config.limits;
    },
    get draining() {
      return state.draining;
    },
    connection: (command, macros) => connectionOf(command, macros, listener.name, state.trusted.matches),
  };
  const acknowledge = listener.address.kind === 'tcp' && quickAck ? quickAck.acknowledge : () => undefined;
  const accept = (socket: Socket): void => {
    const ip = plainIp(socket.remoteAddress ?? '');
    const admission = connections.admit(ip);
    if (admission !== 'admitted') {
      log.info('milter-connection-refused', { listener: listener.name, ip, reason: admission });
      socket.destroy();
      return;
    }
    const connection = new MilterConnection(
      socket,
      log.child({ listener: listener.name, ip }),
      acknowledge,
      (own) => new MilterSession(host, (packet) => own.write(packet)),
    );
    live.add(connection);
    void connection.ended.then(() => {
      live.delete(connection);
      connections.release(ip);
    });
  };
  const server = createServer({ noDelay: true }, accept);
  const address = await listen(server, listener, options);
  return {
    address,
    reconfigure: (next) => {
      state.config = next;
      state.trusted = ipMatcher(next.trustedNetworks);
    },
    close: async (drainMs, decisionMs = drainLimits.decisionMs) => {
      state.draining = true;
      server.close();
      await drain(live, drainMs, decisionMs);
    },
  };
}

/** Sessions between two messages end at once, the others when their message is decided, or when time is up. */
async function drain(
  live: ReadonlySet<MilterConnection>,
  drainMs: number,
  decisionMs: number,
): Promise<void> {
  const cutIdle = () => {
    for (const connection of live) if (connection.idle) connection.cut('shutdown');
  };
  cutIdle();
  const sweep = setInterval(cutIdle, drainLimits.idleSweepMs);
  const cut = setTimeout(() => {
    for (const connection of live) connection.cut('shutdown');
  }, drainMs + decisionMs);
  const late = Promise.withResolvers<void>();
  const abandon = setTimeout(late.resolve, drainMs + decisionMs + drainLimits.closeHooksMs);
  await Promise.race([Promise.all([...live].map(({ ended }) => ended)), late.promise]);
  clearInterval(sweep);
  clearTimeout(cut);
  clearTimeout(abandon);
}

const processId = Date.now().toString(36);
let connectionNumber = 0;

function connectionOf(
  { hostname, address, port }: MilterCommand & { type: 'connect' },
  macros: Macros,
  listener: string,
  isTrusted: (ip: string) => boolean,
): Connection {
  connectionNumber += 1;
  const isIp = /^[0-9a-f:.]+$/i.test(address);
  const remoteIp = isIp ? plainIp(address) : '';
  // Without a verified name MTAs give `unknown`, or the address in brackets.
  const remoteName = hostname === 'unknown' || /^\[.*\]$/.test(hostname) ? '' : hostname;
  return {
    id: `m${processId}-${connectionNumber.toString(36)}`,
    door: 'milter',
    listener,
    localIp: plainIp((macros.get('daemon_addr') ?? '').replace(/^IPv6:/i, '')),
    localPort: Number(macros.get('daemon_port') ?? 0) || 0,
    remoteIp,
    remotePort: port,
    remoteName,
    trusted: remoteIp !== '' && isTrusted(remoteIp),
    openedAt: Date.now(),
  };
}
