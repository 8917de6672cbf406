/** Octets of one client cut into commands, message data and BDAT chunks, in order and never more than one at a time. */

import { SMTPStream } from 'smtp-server/lib/smtp-stream.js';
import { commandsPerTurnMax } from '../../../core/base/limits/doors.ts';
import { conclude, dispatch } from './dispatch.ts';
import { replies } from './replies.ts';
import type { SmtpSession } from './session.ts';

type Next = (error?: Error | null) => void;

/**
 * Takes the place of smtp-server's parser, which knows neither BDAT nor bare newlines and hands data over in a stream.
 * Backpressure is the Writable's own: the next chunk is asked for when this one is worked off.
 */
export class Intake extends SMTPStream {
  /** Undefined until the greeting was sent: early input waits. */
  #session: SmtpSession | undefined;
  /** Called when all input is worked off and the client has done something that counts. */
  #onIdle: () => void = () => {};
  #chunk: Buffer | undefined;
  #at = 0;
  #next: Next | undefined;
  /** A command without its line end, never longer than commandLineBytesMax. */
  #partial: Buffer | undefined;
  /** The line is too long and already answered; dropped up to its end. */
  #skipping = false;
  #commandsThisTurn = 0;
  /** A whole command or message octets came: a command that trickles in does not count. */
  #progressed = false;
  #onEnd: () => void = () => {};

  /** Starts to work off what has arrived; whatever there is came before the greeting. */
  start(session: SmtpSession, onIdle: () => void, onEnd: () => void): void {
    this.#session = session;
    this.#onIdle = onIdle;
    this.#onEnd = onEnd;
    if (this.#next !== undefined) this.#run();
    else if (this.writableFinished) onEnd();
  }

  /** True when the client has sent something. */
  get hasInput(): boolean {
    return this.#chunk !== undefined;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding | 'buffer', next: Next): void {
    this.#chunk = chunk;
    this.#at = 0;
    this.#next = next;
    if (this.#session !== undefined || this.isClosed) this.#run();
  }

  /** The client closed its side: an unfinished line is no command. */
  override _flushData(): void {
    this.#partial = undefined;
    this.#onEnd();
  }

  readonly #run = (): void => {
    const session = this.#session;
    while (!this.isClosed && session !== undefined && this.#chunk !== undefined) {
      if (this.#at >= this.#chunk.length) break;
      // A client that never reads its replies must not make us keep them.
      if (session.wire.whenDrained(this.#run)) return;
      const wait = this.#step(session, this.#chunk);
      if (wait !== undefined) {
        session.busy = wait.then(this.#resume, this.#broken);
        return;
      }
      this.#commandsThisTurn += 1;
      if (this.#commandsThisTurn >= commandsPerTurnMax) {
        this.#commandsThisTurn = 0;
        setImmediate(this.#run);
        return;
      }
    }
    this.#chunk = undefined;
    if (session !== undefined && !session.closed) {
      session.wire.flush();
      if (this.#progressed) this.#onIdle();
    }
    this.#progressed = false;
    const next = this.#next;
    this.#next = undefined;
    this.#commandsThisTurn = 0;
    next?.();
  };

  readonly #resume = (): void => {
    if (this.#session !== undefined) this.#session.busy = undefined;
    this.#run();
  };

  /** Handlers answer their own errors; what comes through here is a fault between them, and costs this session only. */
  readonly #broken = (error: unknown): void => {
    this.#session?.bug(error);
    this.#session?.end('lost');
    this.#resume();
  };

  #step(session: SmtpSession, chunk: Buffer): Promise<unknown> | undefined {
    try {
      if (session.expected?.kind === 'data') return this.#takeData(session, chunk);
      if (session.expected?.kind === 'chunk') return this.#takeChunk(session, chunk);
      return this.#takeLine(session, chunk);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #takeLine(session: SmtpSession, chunk: Buffer): Promise<unknown> | undefined {
    const end = chunk.indexOf(10, this.#at);
    const piece = chunk.subarray(this.#at, end === -1 ? chunk.length : end);
    this.#at = end === -1 ? chunk.length : end + 1;
    if (this.#skipping) {
      this.#skipping = end === -1;
      return undefined;
    }
    const line = this.#partial === undefined ? piece : Buffer.concat([this.#partial, piece]);
    this.#partial = undefined;
    if (line.length + 1 > session.door.limits.commandLineBytesMax) {
      this.#skipping = end === -1;
      session.expected = undefined;
      return conclude(session, replies.lineTooLong, false);
    }
    if (end === -1) {
      // A view would keep the whole chunk alive while the rest of the line is awaited.
      this.#partial = Buffer.from(line);
      return undefined;
    }
    this.#progressed = true;
    // Who has not said EHLO knows of no pipelining, and EHLO itself ends a group. RFC 2920 section 3.1.
    if (!session.esmtp && session.expected === undefined && this.#hasMore(chunk))
      session.talkedEarly('command');
    return dispatch(session, line.at(-1) === 13 ? line.subarray(0, -1) : line);
  }

  /** More has come than this line: in its chunk, or in those that wait behind it. */
  #hasMore(chunk: Buffer): boolean {
    return this.#at < chunk.length || this.writableLength > chunk.length;
  }

  #takeData(session: SmtpSession, chunk: Buffer): Promise<unknown> | undefined {
    this.#progressed = true;
    const { expected } = session;
    if (expected?.kind !== 'data') return undefined;
    const { reception } = expected;
    const { end, wait } = reception.takeData(chunk, this.#at);
    this.#at = end === -1 ? chunk.length : end;
    if (end === -1) {
      if (reception.flooded) session.answer(replies.tooMuchData);
      return wait;
    }
    session.expected = undefined;
    return afterWait(wait, () => conclude(session, session.complete(reception), false));
  }

  #takeChunk(session: SmtpSession, chunk: Buffer): Promise<unknown> | undefined {
    this.#progressed = true;
    const { expected } = session;
    if (expected?.kind !== 'chunk') return undefined;
    const taken = takeOctets(expected, chunk, this.#at);
    this.#at = taken.end === -1 ? chunk.length : taken.end;
    if (taken.end === -1) return taken.wait;
    session.expected = undefined;
    return afterWait(taken.wait, () => conclude(session, expected.done(), false));
  }
}

function afterWait(
  wait: Promise<void> | undefined,
  then: () => Promise<void> | undefined,
): Promise<void> | undefined {
  return wait === undefined ? then() : wait.then(then);
}

/** As Reception.takeChunk, for a chunk that is dropped as well. */
function takeOctets(
  expected: Extract<SmtpSession['expected'], { kind: 'chunk' }>,
  chunk: Buffer,
  start: number,
): { end: number; wait: Promise<void> | undefined } {
  if (expected.reception !== undefined) return expected.reception.takeChunk(chunk, start);
  const stop = Math.min(chunk.length, start + expected.left);
  expected.left -= stop - start;
  return { end: expected.left === 0 ? stop : -1, wait: undefined };
}
