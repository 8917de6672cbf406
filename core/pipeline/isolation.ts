/** Runs suspects one by one, each alone in a thread outside the slots; a thread that survived one takes the next. */
import { describeError } from '../base/errors.ts';
import { pipelineLimits } from '../base/limits/pipeline.ts';
import type { Log } from '../base/log.ts';
import type { Carrier } from './carrier.ts';
import type { Flight } from './flight.ts';
import type { ThreadSlots } from './thread-slots.ts';

/** How the room hands its requests back. */
export interface IsolationEvents {
  send(flight: Flight, carrier: Carrier): void;
  /** No thread came up for it. */
  giveUp(flight: Flight): void;
}

export class Isolation {
  readonly #threads: ThreadSlots;
  readonly #log: Log;
  readonly #on: IsolationEvents;
  #suspects: Flight[] = [];
  readonly #ready = new Set<Carrier>();
  #starting = 0;

  constructor(threads: ThreadSlots, log: Log, on: IsolationEvents) {
    this.#threads = threads;
    this.#log = log;
    this.#on = on;
  }

  add(flight: Flight): void {
    this.#suspects.push(flight);
    this.next();
  }

  /** Its time was up while it waited. */
  remove(flight: Flight): void {
    this.#suspects = this.#suspects.filter((suspect) => suspect !== flight);
  }

  /** To be called whenever a thread of this room has nothing on board any more, or has died. */
  next(): void {
    for (const carrier of this.#ready) {
      if (carrier.thread.dead) this.#ready.delete(carrier);
      if (!carrier.room) continue;
      const flight = this.#suspects.shift();
      if (flight !== undefined) {
        this.#on.send(flight, carrier);
      } else {
        this.#ready.delete(carrier);
        void this.#threads.dispose(carrier);
      }
    }
    while (
      this.#starting < this.#suspects.length &&
      this.#starting + this.#ready.size < pipelineLimits.isolationThreadsMax
    ) {
      this.#starting += 1;
      void this.#start();
    }
  }

  async #start(): Promise<void> {
    try {
      this.#ready.add(await this.#threads.startLone());
    } catch (error) {
      this.#log.error('plugin-thread-start-failed', { error: describeError(error) });
      const flight = this.#suspects.shift();
      if (flight !== undefined) this.#on.giveUp(flight);
    } finally {
      this.#starting -= 1;
    }
    this.next();
  }
}
