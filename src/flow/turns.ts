/**
 * Keeps blocking work short: what one turn of the event loop may do of it, over all messages, and how many copies that
 * cannot be stored at once are under way at a time.
 */
import { storingCopiesMax, turnCopiesMax, turnOctetsMax } from '../../core/base/limits/flow.ts';

export interface Turns {
  /** True when another copy of so many octets may be stored in this turn. The first one always may. */
  take(octets: number): boolean;
  /** Resolves in a later turn. */
  next(): Promise<void>;
}

export function createTurns(): Turns {
  let copies = turnCopiesMax;
  let octets = turnOctetsMax;
  let fresh = true;

  function renew(): void {
    copies = turnCopiesMax;
    octets = turnOctetsMax;
    fresh = true;
  }

  return {
    take(size) {
      if (copies === 0 || octets <= 0) return false;
      copies -= 1;
      octets -= size;
      // Queued before whoever finds nothing left and waits for the next turn.
      if (fresh) setImmediate(renew);
      fresh = false;
      return true;
    },
    next: () => new Promise((resolve) => setImmediate(resolve)),
  };
}

/** Runs a task, as soon as fewer than `storingCopiesMax` others run; in order of the calls. */
export type Gate = <T>(task: () => Promise<T>) => Promise<T>;

export function createGate(): Gate {
  let free = storingCopiesMax;
  const waiting: (() => void)[] = [];
  return async (task) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    }
  };
}
