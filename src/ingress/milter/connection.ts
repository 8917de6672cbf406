/** One socket of an MTA: octets to commands, one at a time, and their replies in one write each. */
import type { Socket } from 'node:net';
import { describeError, OperationalError } from '../../../core/base/errors.ts';
import { milterLimits } from '../../../core/base/limits/doors.ts';
import type { Log } from '../../../core/base/log.ts';
import {
  decodeCommand,
  type MilterCommand,
  MilterWireError,
  PacketReader,
} from '../../../core/net/milter/index.ts';
import type { MilterSession } from './session.ts';

type Reason = Parameters<MilterSession['close']>[0];

export class MilterConnection {
  /** Resolves when the socket is closed and the close hooks have run. */
  readonly ended: Promise<void>;
  readonly #socket: Socket;
  readonly #session: MilterSession;
  readonly #log: Log;
  readonly #reader = new PacketReader();
  readonly #commands: MilterCommand[] = [];
  readonly #acknowledge: (socket: Socket) => void;
  readonly #end: () => void;
  #working: Promise<void> | undefined;
  #reason: Reason = 'lost';
  /** The longer timeout of a session that is under way is set. */
  #patient = false;

  /**
   * @param acknowledge called where octets came that get no answer
   * @param open makes the session, which may write its progress to this connection
   */
  constructor(
    socket: Socket,
    log: Log,
    acknowledge: (socket: Socket) => void,
    open: (connection: MilterConnection) => MilterSession,
  ) {
    this.#socket = socket;
    this.#log = log;
    this.#acknowledge = acknowledge;
    this.#session = open(this);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#end = resolve;
    socket.setNoDelay(true);
    socket.setTimeout(milterLimits.negotiateTimeoutMs);
    socket.on('timeout', () => this.cut('timeout'));
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error) => log.debug('milter-socket', { error: describeError(error) }));
    socket.on('close', () => void this.#closed());
  }

  /** Nothing is under way: to close it now breaks nothing off. */
  get idle(): boolean {
    return this.#working === undefined && this.#session.idle;
  }

  /** Closes without another word: the MTA goes by its default, which is to try again later. */
  cut(reason: Reason): void {
    if (!this.#socket.destroyed) this.#reason = reason;
    this.#socket.destroy();
  }

  write(packet: Buffer): void {
    if (!this.#socket.destroyed) this.#socket.write(packet);
  }

  #take(chunk: Buffer): void {
    try {
      for (const packet of this.#reader.push(chunk)) this.#commands.push(decodeCommand(packet));
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.#commands.length > milterLimits.commandsAheadMax) this.#socket.pause();
    if (this.#working === undefined) this.#start();
  }

  #start(): void {
    const working = this.#work();
    if (working === undefined) return;
    this.#working = working.finally(() => {
      this.#working = undefined;
      // What came while the last answer was on its way.
      if (this.#commands.length > 0) this.#start();
    });
  }

  /** Undefined when all commands could be worked off at once. */
  #work(): Promise<void> | undefined {
    const packets: Buffer[] = [];
    try {
      while (this.#commands.length > 0) {
        const command = this.#commands.shift()!;
        if (this.#socket.destroyed || command.type === 'quit') {
          this.#quit();
          return undefined;
        }
        const answer = this.#session.handle(command);
        if (answer instanceof Promise) {
          if (packets.length > 0) this.#flush(packets);
          return answer.then(
            (more) => {
              if (more.length > 0 || this.#commands.length === 0) this.#flush(more);
              if (this.#commands.length > 0) return this.#work();
              this.#socket.resume();
              return undefined;
            },
            (error) => this.#fail(error),
          );
        }
        packets.push(...answer);
      }
      this.#flush(packets);
      this.#socket.resume();
    } catch (error) {
      this.#fail(error);
    }
    return undefined;
  }

  #flush(packets: readonly Buffer[]): void {
    if (this.#socket.destroyed) return;
    if (!this.#patient && this.#session.negotiated) {
      this.#patient = true;
      this.#socket.setTimeout(milterLimits.idleTimeoutMs);
    }
    if (packets.length === 0) {
      this.#acknowledge(this.#socket);
      return;
    }
    this.#socket.write(packets.length === 1 ? packets[0]! : Buffer.concat(packets));
    if (this.#socket.writableLength > milterLimits.unreadBytesMax) {
      this.#fail(new MilterWireError('replies are not read'));
    }
  }

  #quit(): void {
    this.#commands.length = 0;
    if (this.#socket.destroyed) return;
    this.#reason = 'quit';
    this.#socket.destroy();
  }

  #fail(error: unknown): void {
    this.#commands.length = 0;
    if (error instanceof OperationalError) this.#log.warn('milter-closed', { error: error.message });
    else this.#log.error('milter-bug', { error: describeError(error) });
    this.cut('lost');
  }

  async #closed(): Promise<void> {
    this.#commands.length = 0;
    await this.#working;
    try {
      await this.#session.close(this.#reason);
    } catch (error) {
      this.#log.error('milter-bug', { error: describeError(error) });
    }
    this.#end();
  }
}
