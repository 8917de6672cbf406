/** One question to a daemon over a connection of its own: all is written, with back pressure, then all that it says is read. */
import { connect as connectPlain, type Socket } from 'node:net';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { errnoOf } from '../base/errors.ts';
import { daemonLimits } from '../base/limits/filters.ts';
import type { DaemonAddress } from './daemon-address.ts';

export interface ConverseOptions {
  readonly signal: AbortSignal;
  /** An answer longer than this is an error. */
  readonly answerBytesMax: number;
  /** TLS, with what Node's tls.connect takes. */
  readonly tls?: ConnectionOptions;
  /** Close our side when all is said. Not with TLS, whose half-close many servers take for the end. */
  readonly halfClose?: boolean;
  /** From so many octets on an answer is waited for before each further piece. */
  readonly cautiousAfterBytes?: number;
}

/**
 * The daemon went away while it was spoken to. It may have answered: what lies unread is lost where a write fails, so
 * that a second conversation, cautious from a little before that point, may hear it.
 */
export class BrokenOffError extends Error {
  readonly cautiousAfterBytes: number;

  constructor(cause: Error, saidBytes: number) {
    super(`${cause.message}, after ${saidBytes} octets`, { cause });
    this.cautiousAfterBytes = Math.max(0, saidBytes - 16 * pieceBytes);
  }
}

export interface Conversation {
  /** All octets up to the end of the connection; whether they are whole is for the caller to see. */
  readonly answer: Buffer;
  /** False when the daemon answered, or went away, before it had heard all. */
  readonly saidAll: boolean;
}

/**
 * @param say what is written; where it throws the conversation is over
 * @throws Error when there is no connection, nothing is answered, or the signal aborts
 */
export async function converse(
  address: DaemonAddress,
  say: () => AsyncIterable<Uint8Array>,
  options: ConverseOptions,
): Promise<Conversation> {
  const socket = await open(address, options);
  const listener = new Listener(socket, options.answerBytesMax);
  const abandon = () => listener.fail(options.signal.reason as Error);
  options.signal.addEventListener('abort', abandon, { once: true });
  if (options.signal.aborted) abandon();
  try {
    const saidAll = await speak(socket, listener, say, options);
    return { answer: await listener.ended, saidAll };
  } catch (error) {
    const broken = brokenOff.has(errnoOf(error) ?? '') && socket.bytesWritten > pieceBytes;
    throw broken ? new BrokenOffError(error as Error, socket.bytesWritten) : error;
  } finally {
    options.signal.removeEventListener('abort', abandon);
    socket.destroy();
  }
}

const brokenOff: ReadonlySet<string> = new Set(['EPIPE', 'ECONNRESET']);

async function speak(
  socket: Socket,
  listener: Listener,
  say: () => AsyncIterable<Uint8Array>,
  { halfClose = false, cautiousAfterBytes = Number.POSITIVE_INFINITY }: ConverseOptions,
): Promise<boolean> {
  let octets = 0;
  // What is small (a length, the end) goes out with what it belongs to: one call, one packet, one wake-up over there.
  socket.cork();
  for await (const chunk of say()) {
    for (let at = 0; at < chunk.length; at += pieceBytes) {
      if (octets >= pieceBytes) {
        socket.uncork();
        // A daemon that has heard enough answers and closes; a write that fails for it would lose the answer unread.
        await (octets >= cautiousAfterBytes ? sleep(cautionMs) : setImmediate());
        socket.cork();
      }
      if (listener.heard) return false;
      const piece = chunk.subarray(at, at + pieceBytes);
      octets += piece.length;
      if (!socket.write(piece)) {
        socket.uncork();
        await listener.drained();
        socket.cork();
      }
    }
  }
  if (listener.heard) return false;
  socket.uncork();
  if (halfClose) socket.end();
  return true;
}

/** Enough for an answer that is on its way. */
const cautionMs = 20;
const pieceBytes = 64 * 1024;

/** Gathers what comes, until the end. */
class Listener {
  readonly #socket: Socket;
  readonly #chunks: Buffer[] = [];
  readonly #end = Promise.withResolvers<Buffer>();
  #octets = 0;
  #wake: () => void = () => {};
  over = false;

  constructor(socket: Socket, octetsMax: number) {
    this.#socket = socket;
    // Nobody may be waiting yet, or any more.
    this.#end.promise.catch(() => {});
    socket.on('drain', () => this.#wake());
    socket.on('data', (chunk: Buffer) => {
      this.#octets += chunk.length;
      if (this.#octets > octetsMax) this.fail(new Error(`an answer of more than ${octetsMax} octets`));
      else this.#chunks.push(chunk);
      this.#wake();
    });
    // A daemon that does not listen to the end resets the connection; what it said before still counts.
    socket.on('error', (error) => (this.#octets > 0 ? this.#finish() : this.fail(error)));
    socket.on('end', () => this.#finish());
    socket.on('close', () => this.#finish());
  }

  /** Something was answered, or never will be. */
  get heard(): boolean {
    return this.over || this.#octets > 0;
  }

  get ended(): Promise<Buffer> {
    return this.#end.promise;
  }

  /** Until there is room for more, or no use in it. */
  async drained(): Promise<void> {
    if (this.heard || !this.#socket.writableNeedDrain) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  fail(error: Error): void {
    this.over = true;
    this.#end.reject(error);
    this.#socket.destroy();
    this.#wake();
  }

  #finish(): void {
    this.over = true;
    if (this.#octets > 0) this.#end.resolve(Buffer.concat(this.#chunks));
    else this.#end.reject(new Error('closed the connection without an answer'));
    this.#wake();
  }
}

/** Rejects when it cannot connect, or not soon. */
function open(address: DaemonAddress, { signal, tls }: ConverseOptions): Promise<Socket> {
  const target = 'path' in address ? { path: address.path } : { ...address, noDelay: true };
  const socket = tls ? connectTls({ ...target, ...tls }) : connectPlain({ ...target, allowHalfOpen: true });
  return new Promise((resolve, reject) => {
    const settle = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abandon);
      socket.removeAllListeners('error');
    };
    const fail = (error: Error) => {
      settle();
      socket.on('error', () => {});
      socket.destroy();
      reject(error);
    };
    const abandon = () => fail(signal.reason as Error);
    const timer = setTimeout(
      () => fail(Object.assign(new Error('does not accept connections'), { code: 'ETIMEDOUT' })),
      daemonLimits.connectMs,
    );
    signal.addEventListener('abort', abandon, { once: true });
    socket.once('error', fail);
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      settle();
      resolve(socket);
    });
    if (signal.aborted) abandon();
  });
}
