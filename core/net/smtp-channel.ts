/** The wire of an SMTP client: lines out, replies in, TLS in between; time and memory bounded. RFC 5321 section 4.5.3.2. */

import type { X509Certificate } from 'node:crypto';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { describeError, errnoOf, OperationalError } from '../base/errors.ts';
import { smtpRepliesAheadMax, smtpReplyBytesMax } from '../base/limits/doors.ts';

export interface SmtpTimeouts {
  readonly connectMs: number;
  /** From one command to its reply, the greeting included. */
  readonly replyMs: number;
  /** From DATA to its 354. */
  readonly dataStartMs: number;
  /** For the kernel to take a block of data. */
  readonly blockMs: number;
  /** From the end of the data to its reply. */
  readonly dataReplyMs: number;
}

/** RFC 5321 section 4.5.3.2: five minutes for the greeting and commands, two for DATA, three for a block, ten after the data. */
const defaultSmtpTimeouts: SmtpTimeouts = {
  connectMs: 30_000,
  replyMs: 5 * 60_000,
  dataStartMs: 2 * 60_000,
  blockMs: 3 * 60_000,
  dataReplyMs: 10 * 60_000,
};

/** What is waited for. */
export type SmtpStage = 'greeting' | 'command' | 'dataStart' | 'data';

/** The other side of a handshake, for a judge of its own (DANE, MTA-STS). */
export interface SmtpPeer {
  /** Leaf first, as far as it is known; never empty. */
  readonly chain: readonly X509Certificate[];
  /** Why the trusted roots do not vouch for the leaf, as a code of OpenSSL; undefined when they do. The name is not looked at. */
  readonly distrust?: string;
}

export interface SmtpChannelOptions {
  /** Host and port, or the path of a unix socket. */
  readonly to: { readonly host: string; readonly port: number } | { readonly path: string };
  /** Own address to connect from. */
  readonly localAddress?: string;
  /** Name that the certificate must hold; default: the host. */
  readonly serverName?: string;
  /** PEM of what is trusted besides the system's roots. */
  readonly ca?: string | string[];
  /** Take any certificate: opportunistic TLS of RFC 7435. Default false. */
  readonly anyCertificate?: boolean;
  /** Judges the peer in place of the usual check; throws an OperationalError `smtp-tls` for one that is not taken. */
  readonly verifyPeer?: (peer: SmtpPeer) => void;
  readonly timeouts?: Partial<SmtpTimeouts>;
}

interface Waiting {
  resolve(lines: string[]): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout;
}

export class SmtpChannel {
  readonly #options: SmtpChannelOptions;
  readonly #timeouts: SmtpTimeouts;
  #socket: Socket;
  #received = '';
  #lines: string[] = [];
  readonly #replies: string[][] = [];
  #waiting: Waiting | undefined;
  #broken: OperationalError | undefined;

  private constructor(socket: Socket, options: SmtpChannelOptions) {
    this.#options = options;
    this.#timeouts = { ...defaultSmtpTimeouts, ...options.timeouts };
    this.#socket = socket;
    this.#listen();
  }

  /** Rejects with `smtp-connect`, or `smtp-tls` where TLS begins at once and fails. */
  static async open(options: SmtpChannelOptions, implicitTls: boolean): Promise<SmtpChannel> {
    const timeoutMs = options.timeouts?.connectMs ?? defaultSmtpTimeouts.connectMs;
    const { to, localAddress } = options;
    const tcp = connectTcp({ ...to, ...(localAddress === undefined ? {} : { localAddress }) });
    await settled(tcp, 'connect', timeoutMs, 'smtp-connect');
    tcp.setNoDelay(true);
    if (!implicitTls) return new SmtpChannel(tcp, options);
    return new SmtpChannel(await secure(tcp, options, timeoutMs), options);
  }

  get tlsProtocol(): string | undefined {
    return this.#socket instanceof TLSSocket ? (this.#socket.getProtocol() ?? undefined) : undefined;
  }

  get tlsCipher(): string | undefined {
    return this.#socket instanceof TLSSocket ? this.#socket.getCipher()?.standardName : undefined;
  }

  get isBroken(): boolean {
    return this.#broken !== undefined;
  }

  /** A reply has come that nobody has read. */
  get hasReply(): boolean {
    return this.#replies.length > 0;
  }

  get remoteIp(): string {
    return this.#socket.remoteAddress ?? '';
  }

  get localIp(): string {
    return this.#socket.localAddress ?? '';
  }

  /** Lines must hold no CR or LF: they are refused, since they would be commands of their own. */
  writeLines(lines: readonly string[]): Promise<void> {
    if (lines.some((line) => /[\r\n]/.test(line))) {
      throw new OperationalError('smtp-protocol', 'a command with a line break', { temporary: false });
    }
    return this.write(Buffer.from(lines.map((line) => `${line}\r\n`).join('')));
  }

  /** Resolves when there is room for more. */
  write(octets: Uint8Array): Promise<void> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    if (this.#socket.write(octets)) return Promise.resolve();
    return settled(this.#socket, 'drain', this.#timeouts.blockMs, 'smtp-lost');
  }

  /** The lines of the next reply, codes included. One caller at a time. */
  readReply(stage: SmtpStage): Promise<string[]> {
    const ready = this.#replies.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    const timeoutMs = this.#timeouts[stageTimeout[stage]];
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#break('smtp-timeout', `no reply within ${timeoutMs} ms`);
      }, timeoutMs);
      this.#waiting = { resolve, reject, timer };
    });
  }

  /** After the server agreed to STARTTLS. */
  async startTls(): Promise<void> {
    // RFC 3207 section 5, CVE-2011-0411: what came before the handshake was not protected by it.
    if (this.#received !== '' || this.#lines.length > 0 || this.#replies.length > 0) {
      throw this.#break('smtp-protocol', 'the server sent more before the TLS handshake');
    }
    this.#socket.removeAllListeners();
    this.#socket = await secure(this.#socket, this.#options, this.#timeouts.connectMs);
    this.#listen();
  }

  destroy(): void {
    this.#socket.removeAllListeners();
    this.#socket.on('error', () => {});
    this.#socket.destroy();
    if (this.#waiting !== undefined || this.#broken === undefined) this.#break('smtp-lost', 'closed');
  }

  #listen(): void {
    this.#socket.setEncoding('utf8');
    this.#socket.on('data', (text: string) => this.#take(text));
    this.#socket.on('error', (error) => this.#break('smtp-lost', describeError(error)));
    this.#socket.on('close', () => this.#break('smtp-lost', 'the server closed the connection'));
  }

  #take(text: string): void {
    this.#received += text;
    const held = this.#received.length + this.#lines.reduce((sum, line) => sum + line.length, 0);
    if (held > smtpReplyBytesMax) {
      this.#break('smtp-protocol', `a reply of more than ${smtpReplyBytesMax} octets`);
      return;
    }
    for (let end = this.#received.indexOf('\n'); end !== -1; end = this.#received.indexOf('\n')) {
      const line = this.#received.slice(0, end).replace(/\r$/, '');
      this.#received = this.#received.slice(end + 1);
      const [, separator] = /^[2-5][0-9]{2}([ -]|$)/.exec(line) ?? [];
      if (separator === undefined) {
        this.#break('smtp-protocol', `no SMTP reply: ${JSON.stringify(line.slice(0, 80))}`);
        return;
      }
      this.#lines.push(line);
      if (separator === '-') continue;
      this.#deliver(this.#lines);
      this.#lines = [];
    }
  }

  #deliver(lines: string[]): void {
    const waiting = this.#waiting;
    if (waiting === undefined) {
      if (this.#replies.length < smtpRepliesAheadMax) this.#replies.push(lines);
      else this.#break('smtp-protocol', 'replies that nobody asked for');
      return;
    }
    this.#waiting = undefined;
    clearTimeout(waiting.timer);
    waiting.resolve(lines);
  }

  /** The first reason stays; whoever waits hears it, and whoever asks later. */
  #break(code: string, message: string): OperationalError {
    this.#broken ??= new OperationalError(code, message, { temporary: true });
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) {
      clearTimeout(waiting.timer);
      waiting.reject(this.#broken);
    }
    this.#socket.destroy();
    return this.#broken;
  }
}

const stageTimeout: Readonly<Record<SmtpStage, keyof SmtpTimeouts>> = {
  greeting: 'replyMs',
  command: 'replyMs',
  dataStart: 'dataStartMs',
  data: 'dataReplyMs',
};

async function secure(tcp: Socket, options: SmtpChannelOptions, timeoutMs: number): Promise<TLSSocket> {
  const name = options.serverName ?? ('host' in options.to ? options.to.host : 'localhost');
  const socket = connectTls({
    socket: tcp,
    host: name,
    // RFC 6066 section 3: server names are never addresses.
    ...(isIP(name) === 0 ? { servername: name } : {}),
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    rejectUnauthorized: options.anyCertificate !== true && options.verifyPeer === undefined,
    ...(options.verifyPeer === undefined ? {} : { checkServerIdentity: () => undefined }),
    minVersion: 'TLSv1.2',
  });
  await settled(socket, 'secureConnect', timeoutMs, 'smtp-tls');
  try {
    options.verifyPeer?.(peerOf(socket));
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return socket;
}

/** How far up a chain is followed; servers send three or four certificates. */
const chainMax = 10;

function peerOf(socket: TLSSocket): SmtpPeer {
  const chain: X509Certificate[] = [];
  let next = socket.getPeerX509Certificate();
  while (next !== undefined && chain.length < chainMax) {
    chain.push(next);
    next = next.issuerCertificate;
  }
  const distrust = socket.authorizationError as Error | string | undefined;
  if (!distrust) return { chain };
  return {
    chain,
    distrust: typeof distrust === 'string' ? distrust : (errnoOf(distrust) ?? distrust.message),
  };
}

/** Waits for one event of a socket; an error, its end or the time makes it an OperationalError of that code. */
function settled(socket: Socket, event: string, timeoutMs: number, code: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: string): void => {
      clearTimeout(timer);
      socket.off(event, succeeded).off('error', failed).off('close', closed);
      if (error === undefined) resolve();
      else {
        socket.on('error', () => {});
        socket.destroy();
        reject(new OperationalError(code, error, { temporary: true }));
      }
    };
    const succeeded = (): void => done();
    const failed = (error: Error): void => done(describeError(error));
    const closed = (): void => done('the connection was closed');
    const timer = setTimeout(() => done(`nothing for ${timeoutMs} ms`), timeoutMs);
    socket.on(event, succeeded).on('error', failed).on('close', closed);
  });
}
