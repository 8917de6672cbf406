/** The threads that carry requests: as many as there are slots, each replaced at once when it dies, for as long as it takes. */
import { describeError } from '../base/errors.ts';
import { pipelineLimits } from '../base/limits/pipeline.ts';
import type { Log } from '../base/log.ts';
import { Carrier } from './carrier.ts';
import type { FromThread, House, LoadedPlugin, ReadyPipelines } from './wire.ts';
import { type DeathCause, PluginThread } from './worker-pool.ts';

export interface ThreadsInit {
  /** Absolute paths of the plugin files. */
  readonly files: readonly string[];
  readonly house: House;
  readonly threads: number;
  readonly threadMemoryMiB: number;
  readonly log: Log;
}

/** What the owner of the slots hears. */
export interface ThreadEvents {
  message(message: Exclude<FromThread, { type: 'disposed' }>, from: PluginThread): void;
  /** A thread that was ready is gone; its replacement is on the way. */
  died(carrier: Carrier, cause: DeathCause, message: string): void;
  /** A slot has a working thread again. */
  ready(): void;
  /** No thread works, and none has come up for some tries. */
  hopeless(): void;
}

interface Slot {
  carrier: Carrier | undefined;
  /** Starts that failed in a row. */
  failures: number;
}

export class ThreadSlots {
  readonly #init: ThreadsInit;
  readonly #events: ThreadEvents;
  readonly #slots: readonly Slot[];
  /** All that live, those outside the slots included. */
  readonly #carriers = new Map<PluginThread, Carrier>();
  readonly #disposing = new Map<PluginThread, () => void>();
  #pipelines: ReadyPipelines = {};
  #closed = false;

  constructor(init: ThreadsInit, events: ThreadEvents) {
    this.#init = init;
    this.#events = events;
    this.#slots = Array.from({ length: Math.max(1, init.threads) }, () => ({
      carrier: undefined,
      failures: 0,
    }));
  }

  /** Loads the plugins into the first thread. Rejects with the file at which the thread ended or hung. */
  async load(): Promise<readonly LoadedPlugin[]> {
    const carrier = this.#start(false);
    this.#slots[0]!.carrier = carrier;
    return await this.#inTime(carrier, carrier.thread.loaded);
  }

  /** Sets up the pipelines in the first thread and starts the others. Rejects with the first setup that failed. */
  async setUp(pipelines: ReadyPipelines): Promise<void> {
    this.#pipelines = pipelines;
    const first = this.#slots[0]!.carrier!;
    const [failure] = await this.#inTime(first, first.thread.setup(pipelines));
    if (failure !== undefined) {
      const { pipeline, entry, error } = failure;
      const plugin = pipelines[pipeline]?.[entry]?.manifest.name;
      throw new Error(`plugin ${plugin}, entry ${entry} of pipeline ${pipeline}: ${error}`);
    }
    first.ready = true;
    for (const slot of this.#slots.slice(1)) void this.#fill(slot);
  }

  /** Every living thread that carries something. */
  *busy(): Iterable<Carrier> {
    for (const carrier of this.#carriers.values()) if (carrier.flights.size > 0) yield carrier;
  }

  /** The thread in a slot that carries least, with room for more. */
  idlest(): Carrier | undefined {
    let best: Carrier | undefined;
    for (const { carrier } of this.#slots) {
      if (carrier?.room && (best === undefined || carrier.flights.size < best.flights.size)) best = carrier;
    }
    return best;
  }

  isHopeless(): boolean {
    return this.#slots.every(
      ({ carrier, failures }) => !carrier?.ready && failures >= pipelineLimits.threadStartsMax,
    );
  }

  /** A thread outside the slots that runs one request at a time. Rejects when it does not come up. */
  async startLone(): Promise<Carrier> {
    const carrier = this.#start(true);
    await this.#prepare(carrier);
    return carrier;
  }

  /** Ends a thread that does harm; died() follows at once. */
  end(carrier: Carrier, cause: DeathCause, message: string): void {
    carrier.thread.drop();
    this.#died(carrier.thread, cause, message);
  }

  /** Ends a thread in good order: its plugins' dispose runs, for a bounded time. */
  async dispose(carrier: Carrier): Promise<void> {
    const { thread } = carrier;
    // Off the books first, so that it is given no more work.
    this.#carriers.delete(thread);
    if (carrier.ready && !thread.dead) {
      carrier.ready = false;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#disposing.set(thread, resolve);
      const timer = setTimeout(resolve, pipelineLimits.disposeMs);
      thread.send({ type: 'dispose' });
      await promise;
      clearTimeout(timer);
      this.#disposing.delete(thread);
    }
    carrier.end();
    thread.drop();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#carriers.values()].map((carrier) => this.dispose(carrier)));
  }

  #start(alone: boolean): Carrier {
    const { files, house, threadMemoryMiB } = this.#init;
    const thread = new PluginThread({
      files,
      house,
      memoryMiB: threadMemoryMiB,
      onMessage: (message, from) => {
        if (message.type === 'disposed') this.#disposing.get(from)?.();
        else this.#events.message(message, from);
      },
      onDeath: (dead, cause, message) => this.#died(dead, cause, message),
    });
    const carrier = new Carrier(thread, alone);
    this.#carriers.set(thread, carrier);
    return carrier;
  }

  /** Makes a thread ready, or ends it and throws. A plugin that fails here fails alone, by its policy. */
  async #prepare(carrier: Carrier): Promise<void> {
    await this.#inTime(carrier, carrier.thread.loaded);
    const failures = await this.#inTime(carrier, carrier.thread.setup(this.#pipelines));
    for (const { pipeline, entry, error } of failures) {
      const plugin = this.#pipelines[pipeline]?.[entry]?.manifest.name;
      this.#init.log.error('plugin-setup-failed', { plugin, pipeline, entry, error });
    }
    carrier.ready = true;
  }

  /** One step of a thread's start, which may hang or end the thread: then the thread goes, and the error names the plugin. */
  async #inTime<Value>(carrier: Carrier, step: Promise<Value>): Promise<Value> {
    const { thread } = carrier;
    const failed = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => failed.reject(new Error(`not ready within ${pipelineLimits.threadStartMs} ms`)),
      pipelineLimits.threadStartMs,
    );
    void carrier.ended.then(() => failed.reject(new Error('the thread ended')));
    try {
      return await Promise.race([step, failed.promise]);
    } catch (error) {
      const at = thread.loading;
      this.#carriers.delete(thread);
      carrier.end();
      thread.drop();
      const where = at === undefined ? 'plugins' : this.#init.files[at];
      throw new Error(`${where}: ${describeError(error)}`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Puts a working thread into a slot. */
  async #fill(slot: Slot): Promise<void> {
    while (!this.#closed) {
      slot.carrier = this.#start(false);
      try {
        await this.#prepare(slot.carrier);
        slot.failures = 0;
        this.#events.ready();
        return;
      } catch (error) {
        slot.carrier = undefined;
        slot.failures += 1;
        this.#init.log.error('plugin-thread-start-failed', {
          error: describeError(error),
          failures: slot.failures,
        });
        if (this.isHopeless()) this.#events.hopeless();
        await new Promise((resolve) => setTimeout(resolve, Math.min(100 * 2 ** slot.failures, 5000)));
      }
    }
  }

  #died(thread: PluginThread, cause: DeathCause, message: string): void {
    const carrier = this.#carriers.get(thread);
    if (carrier === undefined) return;
    this.#carriers.delete(thread);
    carrier.end();
    // One that was not ready yet is seen to by whoever started it.
    if (!carrier.ready) return;
    const slot = this.#slots.find((place) => place.carrier === carrier);
    if (slot !== undefined) void this.#fill(slot);
    this.#events.died(carrier, cause, message);
  }
}
