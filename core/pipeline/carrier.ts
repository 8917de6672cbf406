/** A thread with the requests it carries, and how long its event loop has been silent. */
import { pipelineLimits } from '../base/limits/pipeline.ts';
import type { Flight } from './flight.ts';
import type { PluginThread } from './worker-pool.ts';

export class Carrier {
  readonly thread: PluginThread;
  /** Runs one request at a time, to find which of several ends threads. */
  readonly alone: boolean;
  readonly flights = new Map<number, Flight>();
  /** Plugins are loaded and set up. */
  ready = false;
  /** Settles when the thread is gone. */
  readonly ended: Promise<void>;
  readonly end: () => void;
  #beatsAtPing: number | undefined;
  #silentMs = 0;
  #residentAtBeat: number | undefined;

  constructor(thread: PluginThread, alone: boolean) {
    this.thread = thread;
    this.alone = alone;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.end = resolve;
  }

  get room(): boolean {
    const most = this.alone ? 1 : pipelineLimits.threadRequestsMax;
    return this.ready && !this.thread.dead && this.flights.size < most;
  }

  /**
   * Looks for a beat since the last look, and asks for the next.
   * @param elapsedMs since the last look
   * @returns milliseconds of silence, counted from a ping that was not answered
   */
  listen(elapsedMs: number): number {
    const { beats } = this.thread;
    if (this.#beatsAtPing === beats) {
      // A core that was itself held up must not take its own absence for the thread's silence.
      this.#silentMs += Math.min(elapsedMs, 2 * pipelineLimits.heartbeatMs);
      return this.#silentMs;
    }
    this.#residentAtBeat = undefined;
    this.#beatsAtPing = beats;
    this.#silentMs = 0;
    this.thread.ping();
    return 0;
  }

  /**
   * Octets by which the process has grown since the thread fell silent: Buffers made in a loop fill the machine before
   * any heap limit or deadline is reached.
   */
  growth(residentBytes: number): number {
    this.#residentAtBeat ??= residentBytes;
    return residentBytes - this.#residentAtBeat;
  }

  /** Nothing is carried: no answer is expected. */
  rest(): void {
    this.#beatsAtPing = undefined;
    this.#silentMs = 0;
  }
}
