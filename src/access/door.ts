/** One listener of the access role: who may connect, behind which proxy, with which certificate, and how it all ends. */
import { createServer, type Server, type Socket } from 'node:net';
import { describeError, OperationalError } from '../../core/base/errors.ts';
import { accessLimits } from '../../core/base/limits/access.ts';
import { lingerMs, preludeTimeoutMs } from '../../core/base/limits/doors.ts';
import type { Log } from '../../core/base/log.ts';
import type { Config, ListenAddress, ListenerConfig } from '../../core/config/config.ts';
import { type IpMatcher, ipMatcher, plainIp } from '../../core/net/ip.ts';
import type { TlsContexts } from '../../core/net/tls.ts';
import type { ConnectionCount } from '../sockets/connection-count.ts';
import { type ListenOptions, listen } from '../sockets/listen.ts';
import { readProxyHeader } from '../sockets/proxy-header.ts';
import { ConnectionEnded } from './input.ts';
import type { AccessHouse, Protocol } from './protocol.ts';
import { type Peer, Wire } from './wire.ts';

export interface AccessDoorOptions extends ListenOptions {
  readonly listener: ListenerConfig;
  readonly config: Config;
  readonly protocol: Protocol;
  readonly log: Log;
  readonly tls?: TlsContexts;
  /** Shared by all doors of the process. */
  readonly connections: ConnectionCount;
  /** Nobody is greeted before it resolves. */
  readonly house: Promise<AccessHouse>;
}

export interface AccessDoor {
  /** As bound, with the port that port 0 became. */
  readonly address: ListenAddress;
  reconfigure(config: Config): void;
  /** Stops listening, ends clients that wait for nothing, the others after `drainMs`. Resolves when all are gone. */
  close(drainMs: number): Promise<void>;
}

/** @throws OperationalError `listen` or `tls-missing`, which name listener and option */
export async function createAccessDoor(options: AccessDoorOptions): Promise<AccessDoor> {
  const { listener } = options;
  if (listener.tls !== 'none' && options.tls === undefined) {
    throw new OperationalError(
      'tls-missing',
      `listener "${listener.name}" offers TLS: set tls.certFile and tls.keyFile, or listeners.${listener.name}.tls to "none"`,
      { temporary: false },
    );
  }
  const door = new Door(options);
  const address = await listen(door.server, listener, options);
  return {
    address,
    reconfigure: (config) => door.reconfigure(config),
    close: (drainMs) => door.close(drainMs),
  };
}

class Door {
  readonly server: Server;
  readonly #options: AccessDoorOptions;
  #listener: ListenerConfig;
  #proxyFrom: IpMatcher;
  readonly #sockets = new Set<Socket>();
  /** Those of them whose proxy has yet to say who connects. */
  readonly #strangers = new Set<Socket>();
  readonly #wires = new Set<Wire>();
  readonly #serving = new Set<Promise<void>>();

  constructor(options: AccessDoorOptions) {
    this.#options = options;
    this.#listener = options.listener;
    this.#proxyFrom = ipMatcher(options.config.proxyFrom);
    this.server = createServer({ noDelay: true, allowHalfOpen: true, pauseOnConnect: true });
    this.server.on('connection', (socket) => this.#connected(socket));
    this.server.on('drop', () => options.log.warn('access-dropped', { listener: options.listener.name }));
  }

  reconfigure(config: Config): void {
    this.#proxyFrom = ipMatcher(config.proxyFrom);
    this.#listener = config.listeners.find(({ name }) => name === this.#listener.name) ?? this.#listener;
  }

  async close(drainMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const wire of this.#wires) wire.drain();
    for (const socket of this.#strangers) socket.destroy();
    const cut = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, drainMs);
    await Promise.all([closed, ...this.#serving]);
    clearTimeout(cut);
  }

  #connected(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => {});
    const serving = this.#serve(socket).finally(() => this.#serving.delete(serving));
    this.#serving.add(serving);
  }

  async #serve(socket: Socket): Promise<void> {
    const { log, connections } = this.#options;
    this.#strangers.add(socket);
    const peer = await this.#identify(socket).finally(() => this.#strangers.delete(socket));
    if (peer === undefined) return;
    const admission = connections.admit(peer.remoteIp);
    if (admission !== 'admitted') {
      log.info('access-refused', { id: peer.id, ip: peer.remoteIp, reason: admission });
      this.#refuse(socket);
      return;
    }
    const wire = new Wire(socket, peer);
    this.#wires.add(wire);
    try {
      await this.#talk(wire);
    } finally {
      this.#wires.delete(wire);
      connections.release(peer.remoteIp);
    }
  }

  /** The client behind a listed proxy, or whoever connected; undefined when the proxy said nothing sensible. */
  async #identify(socket: Socket): Promise<Peer | undefined> {
    const peer = peerOf(socket);
    if (!this.#proxyFrom.matches(peer.remoteIp)) return peer;
    const timer = setTimeout(() => socket.destroy(), preludeTimeoutMs);
    const header = await new Promise<Parameters<Parameters<typeof readProxyHeader>[1]>[0]>((resolve) =>
      readProxyHeader(socket, resolve),
    );
    clearTimeout(timer);
    if (header.kind === 'malformed') {
      this.#options.log.warn('proxy-header', { id: peer.id, ip: peer.remoteIp, reason: header.reason });
      socket.destroy();
      return undefined;
    }
    if (header.kind === 'local') return peer;
    const { localPort, remotePort } = header;
    const [localIp, remoteIp] = [plainIp(header.localIp), plainIp(header.remoteIp)];
    return { id: peer.id, localIp, localPort, remoteIp, remotePort };
  }

  /** Without a word where the word would have to be encrypted first. */
  #refuse(socket: Socket): void {
    if (this.#options.listener.tls === 'implicit') {
      socket.destroy();
      return;
    }
    socket.resume();
    socket.end(this.#options.protocol.farewell('too-many'));
    setTimeout(() => socket.destroy(), lingerMs).unref();
  }

  async #talk(wire: Wire): Promise<void> {
    const { protocol, tls, log, house } = this.#options;
    try {
      if (this.#listener.tls === 'implicit') await wire.beginTls(tls!);
      await protocol.serve(wire, await house, this.#listener);
    } catch (error) {
      if (error instanceof ConnectionEnded) {
        if (error.reason !== 'lost') wire.write(protocol.farewell(error.reason));
      } else if (error instanceof OperationalError) {
        log.info('access-ended', { id: wire.peer.id, code: error.code, error: error.message });
      } else {
        log.error('access-bug', { id: wire.peer.id, error: describeError(error), stack: stackOf(error) });
        wire.write(protocol.farewell('bug'));
      }
    } finally {
      wire.end();
      setTimeout(() => wire.destroy(), accessLimits.lastWordsMs).unref();
    }
  }
}

const processId = `${Date.now().toString(36)}${process.pid.toString(36)}`;
let connectionNumber = 0;

function peerOf(socket: Socket): Peer {
  connectionNumber += 1;
  return {
    id: `${processId}-${connectionNumber.toString(36)}`,
    localIp: plainIp(socket.localAddress ?? ''),
    localPort: socket.localPort ?? 0,
    remoteIp: plainIp(socket.remoteAddress ?? ''),
    remotePort: socket.remotePort ?? 0,
  };
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? '') : '';
}
