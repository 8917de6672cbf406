/**
 * Which plugin call the thread is executing at any moment, written where the core can read it after the event loop
 * has stopped. A call's continuations (promises, timers, sockets) are followed through its async context.
 */
import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import { beacon } from './wire.ts';

/** What the core needs to name a call. */
export interface RunningCall {
  readonly request: number;
  readonly code: number;
}

export class Running<Call extends RunningCall> {
  readonly #context = new AsyncLocalStorage<Call>();
  readonly #shared: Int32Array;

  constructor(shared: SharedArrayBuffer) {
    this.#shared = new Int32Array(shared);
    // `before` runs ahead of every continuation; it costs about half a microsecond per promise.
    createHook({ before: () => this.#show(this.#context.getStore()) }).enable();
  }

  /** The call whose code asks. */
  get current(): Call | undefined {
    return this.#context.getStore();
  }

  /** Runs a plugin's function as part of `call`. */
  run<Result>(call: Call, run: () => Result): Result {
    this.#shared[beacon.lastRequest] = call.request;
    this.#shared[beacon.lastCall] = call.code;
    this.#show(call);
    try {
      return this.#context.run(call, run);
    } finally {
      this.#show(undefined);
      // Progress as well as a turn of the loop: many short calls in a row are no stuck thread.
      this.beat();
    }
  }

  /** The event loop turns, or a call has come to its end or first wait. */
  beat(): void {
    Atomics.add(this.#shared, beacon.beat, 1);
  }

  /** What the heap limit does not see. */
  showExternalMemory(): void {
    const { external, arrayBuffers } = process.memoryUsage();
    this.#shared[beacon.externalMiB] = Math.round(Math.max(external, arrayBuffers) / 2 ** 20);
  }

  loading(plugin: number | undefined): void {
    this.#shared[beacon.loading] = plugin === undefined ? 0 : plugin + 1;
  }

  #show(call: RunningCall | undefined): void {
    // Plain writes: the core reads them long after, when the thread has been silent or is gone.
    if (call === undefined) {
      this.#shared[beacon.runningRequest] = 0;
      return;
    }
    this.#shared[beacon.runningCall] = call.code;
    this.#shared[beacon.runningRequest] = call.request;
  }
}
