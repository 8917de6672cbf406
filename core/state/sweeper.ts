/** Runs a bounded sweep now and then, and at once again while there is more to remove than one run may take. */
import { describeError } from '../base/errors.ts';
import { stateSweepMs, stateSweepRows } from '../base/limits/state.ts';
import type { Log } from '../base/log.ts';

/** @param sweep removes at most stateSweepRows and answers how many it removed */
export function startSweeper(sweep: () => Promise<number>, log: Log): { stop(): void } {
  let stopped = false;
  let timer = later(stateSweepMs);

  function later(ms: number): NodeJS.Timeout {
    return setTimeout(() => void run(), ms).unref();
  }
  async function run(): Promise<void> {
    let removed = 0;
    try {
      removed = await sweep();
    } catch (error) {
      log.warn('state-sweep-failed', { error: describeError(error) });
    }
    // A tenth of a second between full runs leaves the event loop to mail.
    if (!stopped) timer = later(removed < stateSweepRows ? stateSweepMs : 100);
  }
  return {
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
