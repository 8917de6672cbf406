/**
 * One client's connection as a protocol sees it: lines and literals in, text out, TLS when asked for. A protocol is
 * one async function over it that returns when the client has said goodbye; it need not catch ConnectionEnded.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { constants, createDeflateRaw, createInflateRaw, type DeflateRaw } from 'node:zlib';
import { accessLimits } from '../../core/base/limits/access.ts';
import { preludeTimeoutMs } from '../../core/base/limits/doors.ts';
import type { TlsContexts } from '../../core/net/tls.ts';
import type { TlsInfo } from '../../core/session/connection.ts';
import { ConnectionEnded, Input } from './input.ts';

export interface Peer {
  /** Stands in the log lines of this connection. */
  readonly id: string;
  readonly localIp: string;
  readonly localPort: number;
  /** '' for a unix socket. */
  readonly remoteIp: string;
  readonly remotePort: number;
}

export class Wire {
  readonly peer: Peer;
  /** Silence after which a read ends with `timeout`; a protocol raises it after login (RFC 9051 section 5.4). */
  idleTimeoutMs: number = accessLimits.beforeLoginMs;
  /** Aborted when the connection is over, whoever ended it: for work that nobody waits for any more. */
  readonly signal: AbortSignal;
  readonly #over = new AbortController();
  #socket: Socket;
  #input: Input;
  /** What is written goes through it, once the connection is compressed. */
  #deflate: DeflateRaw | undefined;
  #tls: TlsInfo | undefined;
  #timer: NodeJS.Timeout | undefined;
  #corked = false;
  #betweenCommands = false;
  #draining = false;

  constructor(socket: Socket, peer: Peer) {
    this.peer = peer;
    this.signal = this.#over.signal;
    this.#socket = socket;
    this.#input = this.#listen(socket);
  }

  /** Undefined without TLS. */
  get tls(): TlsInfo | undefined {
    return this.#tls;
  }

  /** The TLS connection for channel bindings (RFC 9266); undefined without TLS. */
  get tlsSocket(): TLSSocket | undefined {
    return this.#socket instanceof TLSSocket ? this.#socket : undefined;
  }

  /** Octets that the client sent ahead of an answer. */
  get buffered(): number {
    return this.#input.buffered;
  }

  /** The first line of a command, at which a drain ends the session. @throws as `line` */
  async command(octetsMax: number): Promise<Buffer> {
    if (this.#draining && this.buffered === 0) throw new ConnectionEnded('shutdown');
    this.#betweenCommands = true;
    try {
      return await this.line(octetsMax);
    } finally {
      this.#betweenCommands = false;
    }
  }

  /** The next line without its line end. @throws OperationalError `line-too-long`, ConnectionEnded */
  line(octetsMax: number): Promise<Buffer> {
    return this.#read(() => this.#input.line(octetsMax));
  }

  /** A literal that fits in memory. @throws ConnectionEnded */
  octets(count: number): Promise<Buffer> {
    return this.#read(() => this.#input.octets(count));
  }

  /** A literal of any size, to be read to its end; each chunk may take as long as a line. @throws ConnectionEnded */
  async *stream(count: number): AsyncGenerator<Buffer, void, undefined> {
    const chunks = this.#input.stream(count);
    for (;;) {
      const { value, done } = await this.#read(() => chunks.next());
      if (done) return;
      yield value;
    }
  }

  /** Goes out with what else is written in this turn of the event loop. */
  write(data: string | Uint8Array): void {
    if (!this.#socket.writable) return;
    if (this.#deflate) {
      this.#deflate.write(data);
      return;
    }
    if (!this.#corked) {
      this.#corked = true;
      const socket = this.#socket;
      socket.cork();
      process.nextTick(() => {
        this.#corked = false;
        socket.uncork();
      });
    }
    this.#socket.write(data);
  }

  /** True when so much is written ahead of the client that it is to be waited for. */
  get mustDrain(): boolean {
    const sink = this.#deflate ?? this.#socket;
    return sink.writableNeedDrain && sink.writableLength > accessLimits.writeAheadOctets;
  }

  /** Resolves when the client has taken enough of what was written; to be awaited within long answers. @throws ConnectionEnded */
  async drained(): Promise<void> {
    if (!this.mustDrain) return;
    const sink = this.#deflate ?? this.#socket;
    const timer = setTimeout(() => this.#socket.destroy(), accessLimits.writeStallMs);
    try {
      await new Promise<void>((resolve) => {
        const done = () => {
          sink.off('drain', done);
          this.#socket.off('close', done);
          resolve();
        };
        sink.on('drain', done);
        this.#socket.on('close', done);
      });
    } finally {
      clearTimeout(timer);
    }
    if (this.#socket.destroyed) throw new ConnectionEnded('lost');
  }

  /**
   * The handshake, after the protocol has written its go-ahead. Octets that came in clear behind the command end the
   * connection: they would be taken for the protected client's. @throws ConnectionEnded
   */
  async startTls(contexts: TlsContexts): Promise<void> {
    await new Promise((resolve) => process.nextTick(resolve));
    const ahead = this.#input.detach();
    if (ahead.length > 0) {
      this.destroy();
      throw new ConnectionEnded('lost');
    }
    await this.#secure(contexts);
  }

  /** The handshake that begins a connection of implicit TLS: what came already belongs to it. @throws ConnectionEnded */
  async beginTls(contexts: TlsContexts): Promise<void> {
    const ahead = this.#input.detach();
    if (ahead.length > 0) this.#socket.unshift(ahead);
    await this.#secure(contexts);
  }

  /**
   * Both directions are deflated from here on, once what was written is out. RFC 4978. What inflates to a lot is read as
   * slowly as anything: the stream waits for its reader.
   */
  compress(): void {
    const socket = this.#socket;
    const ahead = this.#input.detach();
    const inflate = createInflateRaw({ finishFlush: constants.Z_SYNC_FLUSH });
    // Each write reaches the client whole: it waits for the end of the answer.
    const deflate = createDeflateRaw({ flush: constants.Z_SYNC_FLUSH });
    socket.once('close', () => {
      inflate.destroy();
      deflate.destroy();
    });
    deflate.on('error', () => socket.destroy());
    this.#input = new Input(inflate);
    if (ahead.length > 0) inflate.write(ahead);
    socket.pipe(inflate);
    deflate.pipe(socket);
    this.#deflate = deflate;
  }

  /** No further reads; what was written still goes out. */
  end(): void {
    this.#input.end('lost');
    this.#input.detach();
    if (this.#socket.destroyed) return;
    this.#socket.unpipe();
    // Its end is the socket's.
    if (this.#deflate) this.#deflate.end();
    else this.#socket.end();
    // What the client still sends is read and dropped: left unread, it would make the kernel reset what we said last.
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Ends the session between two commands; what a command is doing goes on until then. */
  drain(): void {
    this.#draining = true;
    if (this.#betweenCommands && this.buffered === 0) this.#input.end('shutdown');
  }

  async #read<Value>(read: () => Promise<Value>): Promise<Value> {
    await this.drained();
    this.#timer = setTimeout(() => this.#input.end('timeout'), this.idleTimeoutMs);
    try {
      return await read();
    } finally {
      clearTimeout(this.#timer);
    }
  }

  async #secure(contexts: TlsContexts): Promise<void> {
    const secured = new TLSSocket(this.#socket, {
      isServer: true,
      secureContext: contexts.context(),
      SNICallback: (name, done) => done(null, contexts.context(name)),
    });
    secured.on('error', () => {});
    const timer = setTimeout(() => secured.destroy(), preludeTimeoutMs);
    try {
      await new Promise<void>((resolve, reject) => {
        const failed = () => reject(new ConnectionEnded('lost'));
        secured.once('secure', resolve);
        for (const event of ['error', 'close']) secured.once(event, failed);
      });
    } catch (error) {
      secured.destroy();
      this.#socket.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
    this.#socket = secured;
    this.#tls = tlsInfo(secured);
    this.#input = this.#listen(secured);
  }

  #listen(socket: Socket): Input {
    socket.once('close', () => {
      if (socket === this.#socket) this.#over.abort();
    });
    return new Input(socket);
  }
}

function tlsInfo(socket: TLSSocket): TlsInfo {
  const protocol = socket.getProtocol() ?? '';
  const cipher = socket.getCipher()?.name ?? '';
  const { servername } = socket as TLSSocket & { servername?: string | false };
  return servername ? { protocol, cipher, serverName: servername } : { protocol, cipher };
}
