/** smtp-server's server with our connections in it: who may connect, with which certificate, and behind which proxy. */
import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { SMTPServer } from 'smtp-server';
import { describeError } from '../../../core/base/errors.ts';
import { lingerMs, preludeTimeoutMs } from '../../../core/base/limits/doors.ts';
import { plainIp } from '../../../core/net/ip.ts';
import type { TlsContexts } from '../../../core/net/tls.ts';
import type { ConnectionCount } from '../../sockets/connection-count.ts';
import { readProxyHeader } from '../../sockets/proxy-header.ts';
import { type ConnectionHost, DoorConnection } from './connection.ts';
import { formatReply, replies } from './replies.ts';
import type { DoorSettings, Peer } from './settings.ts';

export class SmtpServer extends SMTPServer implements ConnectionHost {
  readonly door: DoorSettings;
  readonly #count: ConnectionCount;
  /** Sockets in the handshake of implicit TLS, and whom they are counted for. */
  readonly #handshaking = new WeakMap<Socket, string>();
  /** Connections whose socket is not closed yet; smtp-server forgets them when they begin to close. */
  readonly #live = new Set<DoorConnection>();
  readonly #ending = new Set<Promise<void>>();
  /** Who has replies for the end of this turn. */
  #writing: DoorConnection[] = [];

  constructor(door: DoorSettings, count: ConnectionCount, tls: TlsContexts | undefined) {
    super({
      secure: door.listener.tls === 'implicit',
      name: door.hostname,
      // RFC 4422 appendix A. What a certificate is worth is for AUTH EXTERNAL to say.
      ...(door.clientCertificates && { requestCert: true, rejectUnauthorized: false }),
      lmtp: door.lmtp,
      logger: false,
      disableReverseLookup: true,
      maxClients: door.limits.connectionsMax,
      socketTimeout: Math.min(door.limits.idleTimeoutMs, preludeTimeoutMs),
      // A client may close its side after the last command and still wait for the answers.
      ...{ allowHalfOpen: true, noDelay: true },
    });
    this.door = door;
    this.#count = count;
    if (tls !== undefined) this.secureContext = new CurrentContexts(tls);
  }

  /** Resolves when the close hooks of the connections so far have run. */
  async ended(): Promise<void> {
    await Promise.all(this.#ending);
  }

  get live(): ReadonlySet<DoorConnection> {
    return this.#live;
  }

  /** Replies of one turn go out together: each write to a client that sleeps wakes it up, one to a client awake costs half. */
  writeSoon(connection: DoorConnection): void {
    if (this.#writing.push(connection) === 1) setImmediate(this.#writeAll);
  }

  readonly #writeAll = (): void => {
    const connections = this.#writing;
    this.#writing = [];
    for (const connection of connections) connection.write();
  };

  gone(connection: DoorConnection): void {
    this.#live.delete(connection);
    this.#count.release(connection.smtp.peer.remoteIp);
    const ended = connection.smtp.ended().finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
  }

  override connect(socket: Socket, peer: Peer): void {
    try {
      const connection = new DoorConnection(this, socket, peer);
      this.connections.add(connection);
      this.#live.add(connection);
      connection.init();
    } catch (error) {
      this.door.log.error('smtp-bug', { id: peer.id, error: describeError(error) });
      this.#count.release(peer.remoteIp);
      drop(socket, formatReply({ ...replies.bug, code: 421 }, false));
    }
  }

  override _expectsProxyHeader(socket: Socket): boolean {
    return this.door.proxyFrom.matches(plainIp(socket.remoteAddress ?? ''));
  }

  override _handleProxy(socket: Socket, callback: (error: Error | null, peer?: Peer) => void): void {
    const peer = peerOf(socket);
    if (!this._expectsProxyHeader(socket)) {
      this.#admit(socket, peer, callback);
      return;
    }
    readProxyHeader(socket, (header) => {
      if (header.kind === 'malformed') {
        this.door.log.warn('proxy-header', { id: peer.id, ip: peer.remoteIp, reason: header.reason });
        drop(socket);
        callback(new Error(header.reason));
      } else
        this.#admit(socket, header.kind === 'proxied' ? { ...peer, ...addresses(header) } : peer, callback);
    });
  }

  override _upgrade(socket: Socket, callback: Parameters<SMTPServer['_upgrade']>[1]): void {
    super._upgrade(socket, (error, tlsSocket) => {
      const ip = this.#handshaking.get(socket);
      this.#handshaking.delete(socket);
      if (error !== null && ip !== undefined) this.#count.release(ip);
      callback(error, tlsSocket);
    });
  }

  override _onError(error: Error): void {
    // What keeps it from listening is thrown at whoever opens the door.
    if (!this.server.listening) return;
    this.door.log.info('smtp-connection-failed', {
      listener: this.door.listener.name,
      error: describeError(error),
    });
  }

  #admit(socket: Socket, peer: Peer, callback: (error: Error | null, peer?: Peer) => void): void {
    const implicit = this.door.listener.tls === 'implicit';
    const admission = this.#count.admit(peer.remoteIp);
    if (admission === 'admitted') {
      if (implicit) this.#handshaking.set(socket, peer.remoteIp);
      callback(null, peer);
      return;
    }
    this.door.log.info('smtp-connection-refused', { id: peer.id, ip: peer.remoteIp, reason: admission });
    drop(socket, implicit ? undefined : formatReply(replies.tooManyConnections, false));
    callback(new Error(admission));
  }
}

/** Ends a socket that no connection will own, with a last word where there is one. */
function drop(socket: Socket, text?: string): void {
  socket.on('error', () => {});
  if (text === undefined) {
    socket.destroy();
    return;
  }
  socket.resume();
  socket.end(text);
  setTimeout(() => socket.destroy(), lingerMs).unref();
}

const processId = Date.now().toString(36);
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

function addresses(header: Omit<Peer, 'id'>): Omit<Peer, 'id'> {
  const { remotePort, localPort } = header;
  return { remoteIp: plainIp(header.remoteIp), remotePort, localIp: plainIp(header.localIp), localPort };
}

/** Where smtp-server looks up the context of a handshake; answers with the certificates of this moment. */
class CurrentContexts extends Map<string, SecureContext> {
  readonly #tls: TlsContexts;

  constructor(tls: TlsContexts) {
    super();
    this.#tls = tls;
  }

  override get(name: string): SecureContext {
    return this.#tls.context(name === '*' ? undefined : name);
  }
}
