/**
 * Another role's side of calls to the mta. The connection is made by the first call and made again by the first one
 * after it broke: while the mta is restarted, calls wait for it a little; those that were under way are made again.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { OperationalError } from '../../core/base/errors.ts';
import type { Json } from '../../core/base/json.ts';
import { callLimits } from '../../core/base/limits/process.ts';
import type { PluginState } from '../../core/plugin/hooks.ts';
import { encodeFrame, FrameReader } from './frames.ts';
import type { AnswerFrame, CallFrame, MtaCalls, StateQuestion, WireCalls } from './mta-calls.ts';
import { callSocket } from './socket-path.ts';

export interface MtaConnection extends MtaCalls {
  close(): void;
}

/** Every call rejects with a temporary OperationalError `mta-away` when the mta does not come back in time. */
export function connectCalls(runDirectory: string): MtaConnection {
  const caller = new Caller(runDirectory);
  return {
    submit: (mail) => caller.call('submit', mail),
    moved: (message) => caller.call('moved', message),
    state: (plugin) => stateOf(plugin, caller),
    queue: (change) => caller.call('queue', change),
    close: () => caller.close(),
  };
}

function stateOf(plugin: string, caller: Caller): PluginState {
  const ask =
    (method: StateQuestion['method']) =>
    (...parameters: unknown[]) =>
      caller.call('state', { plugin, method, parameters: parameters as Json[] }) as Promise<never>;
  return {
    get: ask('get'),
    set: ask('set'),
    delete: ask('delete'),
    increment: ask('increment'),
    setIfAbsent: ask('setIfAbsent'),
    list: ask('list'),
    getAll: ask('getAll'),
    incrementAll: ask('incrementAll'),
  };
}

interface Waiting {
  readonly frame: CallFrame;
  /** Of its message. */
  readonly octets: number;
  readonly until: number;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

class Caller {
  readonly #runDirectory: string;
  readonly #waiting = new Map<number, Waiting>();
  #socket: Socket | undefined;
  #connecting: Promise<void> | undefined;
  #calls = 0;
  #waitingOctets = 0;
  #closed = false;

  constructor(runDirectory: string) {
    this.#runDirectory = runDirectory;
  }

  call<Name extends keyof WireCalls>(
    name: Name,
    argument: Parameters<WireCalls[Name]>[0],
  ): ReturnType<WireCalls[Name]> {
    const octets = 'message' in argument ? argument.message.length : 0;
    const isFull =
      this.#waiting.size >= callLimits.waitingMax ||
      (this.#waiting.size > 0 && this.#waitingOctets + octets > callLimits.waitingOctetsMax);
    if (isFull) throw away('too many calls wait');
    const call = ++this.#calls;
    const answered = new Promise<unknown>((resolve, reject) => {
      const frame = { call, name, argument };
      const until = performance.now() + callLimits.answerMs;
      this.#waiting.set(call, { frame, octets, until, resolve, reject });
      this.#waitingOctets += octets;
    });
    if (this.#socket !== undefined) this.#socket.write(encodeFrame(this.#waiting.get(call)!.frame));
    else this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined));
    return answered as ReturnType<WireCalls[Name]>;
  }

  close(): void {
    this.#closed = true;
    this.#socket?.destroy();
    this.#drop(() => true);
  }

  /** Resolves when connected, with all that waits sent; or when nothing waits any more. */
  async #connect(): Promise<void> {
    while (this.#waiting.size > 0 && !this.#closed) {
      const socket = await this.#open();
      if (socket !== undefined) {
        this.#socket = socket;
        for (const { frame } of this.#waiting.values()) socket.write(encodeFrame(frame));
        return;
      }
      const now = performance.now();
      this.#drop(({ until }) => until - callLimits.answerMs + callLimits.awayMs < now);
      await delay(callLimits.reconnectMs);
    }
  }

  async #open(): Promise<Socket | undefined> {
    const place = callSocket(this.#runDirectory);
    const socket = connect({ path: place.path });
    try {
      await once(socket, 'connect');
    } catch {
      // Not there, or not yet: tried again as long as a call waits.
      return undefined;
    } finally {
      place.release();
    }
    const reader = new FrameReader();
    const sweep = setInterval(() => this.#late(), callLimits.answerMs / 4).unref();
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      for (const frame of reader.take(chunk)) this.#answered(frame as AnswerFrame);
    });
    socket.on('close', () => {
      clearInterval(sweep);
      this.#socket = undefined;
      if (this.#waiting.size > 0)
        this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined));
    });
    return socket;
  }

  #answered({ call, value, error }: AnswerFrame): void {
    const waiting = this.#waiting.get(call);
    this.#forget(call);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(new OperationalError(error.code, error.message, { temporary: error.temporary }));
  }

  #forget(call: number): void {
    this.#waitingOctets -= this.#waiting.get(call)?.octets ?? 0;
    this.#waiting.delete(call);
  }

  #late(): void {
    const now = performance.now();
    this.#drop(({ until }) => until < now);
  }

  #drop(which: (waiting: Waiting) => boolean): void {
    for (const [call, waiting] of this.#waiting) {
      if (!which(waiting)) continue;
      this.#forget(call);
      waiting.reject(away('the mta role does not answer'));
    }
  }
}

function away(message: string): OperationalError {
  return new OperationalError('mta-away', message, { temporary: true });
}
