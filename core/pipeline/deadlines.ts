/** Many deadlines on one timer, armed only while something waits: a timer for each plugin call would cost more than the call. */

export interface Waiting {
  /** On the clock of performance.now(). */
  readonly dueMs: number;
  expire(): void;
}

export class Deadlines {
  readonly #waiting = new Set<Waiting>();
  #timer: NodeJS.Timeout | undefined;
  #armedFor = Number.POSITIVE_INFINITY;

  add(waiting: Waiting): void {
    this.#waiting.add(waiting);
    if (waiting.dueMs < this.#armedFor) this.#arm(waiting.dueMs);
  }

  /** The timer stays armed: it is cheaper to let it find nothing than to set it anew for each call. */
  delete(waiting: Waiting): void {
    this.#waiting.delete(waiting);
  }

  #arm(dueMs: number): void {
    clearTimeout(this.#timer);
    this.#armedFor = dueMs;
    // setTimeout takes at most 2^31 - 1 ms; a later deadline is looked at then and armed again.
    const delayMs = Math.min(Math.max(1, dueMs - performance.now()), 2 ** 31 - 1);
    this.#timer = setTimeout(() => this.#fire(), delayMs);
  }

  #fire(): void {
    this.#armedFor = Number.POSITIVE_INFINITY;
    const now = performance.now();
    let next = Number.POSITIVE_INFINITY;
    for (const waiting of this.#waiting) {
      if (waiting.dueMs > now) {
        next = Math.min(next, waiting.dueMs);
        continue;
      }
      this.#waiting.delete(waiting);
      waiting.expire();
    }
    if (next < this.#armedFor) this.#arm(next);
  }
}
