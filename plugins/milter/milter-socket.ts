/** A connection to a milter: commands out, the replies to each in. Whatever goes wrong with it is an error of the hook that asked. */
import { connect, type Socket } from 'node:net';
import {
  decodeReply,
  encodeCommand,
  type MilterCommand,
  type MilterReply,
  MilterWireError,
  PacketReader,
} from 'mailfilter/milter';
import type { DaemonAddress } from 'mailfilter/plugin';

export class MilterSocket {
  readonly #socket: Socket;
  readonly #reader = new PacketReader();
  readonly #replies: MilterReply[] = [];
  #failure: Error | undefined;
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    // It must not keep a thread alive that is to end.
    socket.unref();
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the milter closed the connection')));
  }

  /** Rejects when it cannot connect, or not before the signal. */
  static open(address: DaemonAddress, signal: AbortSignal): Promise<MilterSocket> {
    const socket = connect({ ...address });
    return new Promise((resolve, reject) => {
      const fail = (error: Error) => {
        socket.destroy();
        reject(error);
      };
      const late = () => fail(new Error('the milter does not answer'));
      socket.once('error', fail);
      signal.addEventListener('abort', late, { once: true });
      socket.once('connect', () => {
        socket.off('error', fail);
        signal.removeEventListener('abort', late);
        resolve(new MilterSocket(socket));
      });
    });
  }

  get closed(): boolean {
    return this.#failure !== undefined;
  }

  /** Resolves when there is room for more. */
  async send(command: MilterCommand, signal: AbortSignal): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (this.#socket.write(encodeCommand(command))) return;
    await this.#wait(signal, (done) => this.#socket.once('drain', done));
    if (this.#failure) throw this.#failure;
  }

  /** The next reply but for signs of progress, of which each only says that it takes longer. */
  async reply(signal: AbortSignal): Promise<MilterReply> {
    for (;;) {
      const reply = this.#replies.shift();
      if (reply !== undefined) {
        if (reply.type !== 'progress') return reply;
        continue;
      }
      if (this.#failure) throw this.#failure;
      await this.#wait(signal, (done) => {
        this.#wake = done;
      });
    }
  }

  /** Says goodbye where that still can be said. */
  quit(): void {
    if (!this.#failure) this.#socket.end(encodeCommand({ type: 'quit' }));
    this.#failure ??= new Error('the session is over');
  }

  /** Ends it at once: what comes after would be the answer to another question. */
  destroy(): void {
    this.#socket.destroy();
    this.#failure ??= new Error('the session is over');
  }

  /** Until something happens to the connection, or the deadline, after which it is of no more use. */
  #wait(signal: AbortSignal, arrange: (done: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        signal.removeEventListener('abort', late);
        resolve();
      };
      const late = () => {
        this.#fail(new Error('the milter did not answer in time'));
        this.#socket.destroy();
        done();
      };
      if (signal.aborted) {
        late();
        return;
      }
      signal.addEventListener('abort', late, { once: true });
      this.#socket.once('close', done);
      arrange(() => {
        this.#socket.off('close', done);
        done();
      });
    });
  }

  #take(chunk: Buffer): void {
    try {
      for (const packet of this.#reader.push(chunk)) this.#replies.push(decodeReply(packet));
      if (this.#replies.length > repliesMax) throw new MilterWireError('more replies than anybody asked for');
    } catch (error) {
      this.#fail(error as Error);
      this.#socket.destroy();
    }
    this.#wake();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }
}

/** A replaced body of 64 MiB in chunks of 64 KiB comes to a thousand; progress every second of an hour to 3,600. */
const repliesMax = 20_000;
