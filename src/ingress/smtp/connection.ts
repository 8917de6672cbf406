/**
 * One client's socket: smtp-server's connection with its waits, lookups and single writes taken out, our parser put in,
 * and deadlines that a trickle of octets cannot stretch.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { SMTPServer } from 'smtp-server';
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js';
import { describeError } from '../../../core/base/errors.ts';
import type { Reply } from '../../../core/mail/reply.ts';
import { channelBindings } from '../../../core/net/channel-bindings.ts';
import type { ChannelBindings } from '../../../core/net/scram.ts';
import type { Connection, TlsInfo } from '../../../core/session/connection.ts';
import { Intake } from './intake.ts';
import { formatReply, replies } from './replies.ts';
import { SmtpSession } from './session.ts';
import type { DoorSettings, Peer, Wire } from './settings.ts';

/** The server a connection belongs to. */
export interface ConnectionHost {
  readonly door: DoorSettings;
  /** Has `write` called at the end of this turn of the event loop. */
  writeSoon(connection: DoorConnection): void;
  /** The socket is closed; called once. */
  gone(connection: DoorConnection): void;
}

export class DoorConnection extends SMTPConnection implements Wire {
  readonly smtp: SmtpSession;
  readonly #host: ConnectionHost;
  /** Replies that wait to be written together. */
  #outgoing = '';
  #writesSoon = false;
  /** Since when the client owes us what comes next, in the door's coarse time. */
  #waitingSinceMs: number;
  /** The TLS socket of a handshake that is under way, and what waits for its end. */
  #handshake: { socket: Socket | undefined; readonly done: () => void } | undefined;
  #gone = false;

  constructor(server: SMTPServer & ConnectionHost, socket: Socket, peer: Peer) {
    super(server, socket, { id: peer.id, remoteAddress: peer.remoteIp, remotePort: peer.remotePort });
    this.#host = server;
    this.#waitingSinceMs = server.door.coarseMs;
    const tls = 'getCipher' in socket ? tlsInfo(socket as TLSSocket) : undefined;
    this.smtp = new SmtpSession(server.door, this, peer, connectionOf(server.door, peer), tls);
  }

  /** Takes the place of a fixed 100 ms pause and a reverse lookup. */
  override init(): void {
    this._setListeners(() => {
      const { earlyTalkerDelayMs } = this.#host.door.listener;
      if (earlyTalkerDelayMs > 0) setTimeout(this.#judgeEarlyTalker, earlyTalkerDelayMs).unref();
      else this.#greet();
    });
  }

  // Called by the constructor above ours, before our own fields exist.
  override _createParser(): Intake {
    return new Intake();
  }

  /** Deadlines are kept by sweep(); this only tells us of the TLS socket that a handshake runs on. */
  override _armTimeout(socket?: Socket): void {
    if (this.#handshake !== undefined) this.#handshake.socket = socket;
  }

  override _onError(error: Error): void {
    this.#host.door.log.debug('smtp-socket-error', { id: this.id, error: describeError(error) });
  }

  override _onClose(): void {
    super._onClose();
    this.#handshake?.done();
    this.smtp.close('lost');
    if (this.#gone) return;
    this.#gone = true;
    this.#host.gone(this);
  }

  /** What smtp-server itself would say goes the same way as our replies. */
  override send(code: number, data?: string | string[] | null): void {
    this.reply({ code, text: [data ?? ''].flat().join('\n') });
    this.write();
  }

  reply(reply: Reply): void {
    this.#outgoing += formatReply(reply, this.smtp.transaction?.mailFrom.smtputf8 === true);
  }

  flush(): void {
    if (this.#outgoing === '' || this.#writesSoon) return;
    this.#writesSoon = true;
    this.#host.writeSoon(this);
  }

  /** Writes what was added so far, at once. */
  write(): void {
    this.#writesSoon = false;
    if (this.#outgoing === '') return;
    const text = this.#outgoing;
    this.#outgoing = '';
    // While a handshake runs, the socket below it is not ours to write to.
    if (!this._upgrading && this._socket.writable) this._socket.write(text);
  }

  whenDrained(resume: () => void): boolean {
    if (!this._socket.writableNeedDrain || this._socket.destroyed) return false;
    this._socket.once('drain', resume);
    return true;
  }

  bindings(): ChannelBindings | undefined {
    const socket = this._socket;
    return 'getCipher' in socket ? channelBindings(socket as TLSSocket) : undefined;
  }

  startTls(secured: (tls: TlsInfo) => void): Promise<void> {
    this.write();
    return new Promise((resolve) => {
      const done = () => {
        this.#handshake = undefined;
        resolve();
      };
      this.#handshake = { socket: undefined, done };
      this.#waitingSinceMs = this.#host.door.coarseMs;
      const ready = () => {
        secured(tlsInfo(this._socket as TLSSocket));
        this.#startIntake();
        done();
      };
      this.upgrade(() => {}, ready);
    });
  }

  end(): void {
    this.write();
    this.close();
  }

  /** Called several times per shortest timeout: closes what has taken too long. */
  sweep(): void {
    const { door } = this.#host;
    const waitedMs = door.coarseMs - this.#waitingSinceMs;
    if (this._closing || this._closed) return;
    if (this.#handshake !== undefined) {
      // Never the socket below: to tear that away in a handshake crashes Node.
      if (waitedMs > door.limits.idleTimeoutMs) this.#handshake.socket?.destroy();
      return;
    }
    if (this.smtp.busy !== undefined) {
      // Replies that wait for a slow one after them would otherwise make the client give up.
      this.flush();
      return;
    }
    const late = waitedMs > door.limits.idleTimeoutMs || this.smtp.messageAgeMs > door.limits.dataTimeoutMs;
    if (!late) return;
    this.reply(replies.timeout);
    this.smtp.end('timeout');
  }

  /**
   * Ends what outlived the time to drain; who has heard a last word already is not waited for. A message that is being
   * decided keeps its session: a 421 before a yes would have the client send it twice.
   */
  cut(): void {
    const socket = this.#handshake?.socket ?? this._socket;
    if (this._closing) socket.destroy();
    if (this.smtp.deciding) return;
    this.reply(replies.shuttingDown);
    this.smtp.end('shutdown');
    socket.destroySoon();
  }

  /** The socket goes without another word: what the client has not heard, it does not know. */
  abandon(): void {
    (this.#handshake?.socket ?? this._socket).destroy();
  }

  readonly #judgeEarlyTalker = (): void => {
    if (this._closing || this._closed) return;
    if (!(this._parser instanceof Intake) || !this._parser.hasInput) {
      this.#greet();
      return;
    }
    this.#host.door.log.info('smtp-early-talker', { id: this.id, ip: this.remoteAddress });
    this.reply(replies.talkedTooSoon);
    this.smtp.end('limit');
  };

  #greet(): void {
    this.smtp.busy = this.smtp.greet().then(this.#greeted);
  }

  readonly #greeted = (): void => {
    this.smtp.busy = undefined;
    if (this._parser instanceof Intake && this._parser.hasInput) this.smtp.talkedEarly('greeting');
    this.smtp.settle();
    this.#clientsTurn();
    this.#startIntake();
  };

  #startIntake(): void {
    if (this._parser instanceof Intake) this._parser.start(this.smtp, this.#clientsTurn, this.#clientEnded);
  }

  readonly #clientsTurn = (): void => {
    this.#waitingSinceMs = this.#host.door.coarseMs;
  };

  /** The client closed its side, and all it had sent is answered. */
  readonly #clientEnded = (): void => {
    this.smtp.end('lost');
  };
}

function connectionOf(door: DoorSettings, peer: Peer): Connection {
  return {
    id: peer.id,
    door: door.protocol,
    listener: door.listener.name,
    localIp: peer.localIp,
    localPort: peer.localPort,
    remoteIp: peer.remoteIp,
    remotePort: peer.remotePort,
    remoteName: '',
    trusted: door.trusted.matches(peer.remoteIp),
    openedAt: door.clock.now(),
  };
}

function tlsInfo(socket: TLSSocket): TlsInfo {
  const protocol = socket.getProtocol() ?? '';
  const cipher = socket.getCipher()?.name ?? '';
  const { servername } = socket as TLSSocket & { servername?: string | false };
  return {
    ...(servername ? { protocol, cipher, serverName: servername } : { protocol, cipher }),
    ...(socket.authorized && certified(socket)),
  };
}

/** What a certificate says that was verified. Names with quotes in them are made to be misread, and are not read. */
function certified(socket: TLSSocket): Pick<TlsInfo, 'clientSubject' | 'clientAddresses'> {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return {};
  const names = certificate.subjectAltName ?? '';
  const clientAddresses = names.includes('"')
    ? []
    : names.split(', ').flatMap((name) => /^email:(\S+@\S+)$/.exec(name)?.[1] ?? []);
  return { clientSubject: certificate.subject.replaceAll('\n', ', '), clientAddresses };
}
