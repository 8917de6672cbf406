/** When an entry is tried again, and when it is given up: arithmetic without a clock. RFC 5321 section 4.5.4.1. */

export interface Schedule {
  /** Delay before attempt n+1; the last repeats. */
  readonly retrySeconds: readonly number[];
  /** An entry older than this is given up after its next failure. RFC 5321 asks for four to five days. */
  readonly expireSeconds: number;
  /** Age at which the sender hears that it waits; 0 or absent: only who asked. */
  readonly delayNoticeSeconds?: number;
}

/** Delays vary by this part either way, so that what failed together is not tried together. */
const jitterPart = 0.1;
/** No entry is tried more often than this, whatever the config says: a delay of 0 would be a busy loop. */
const delayMsMin = 100;

/**
 * Milliseconds until the next attempt.
 * @param attempts made so far, at least 1
 * @param random from 0 up to 1
 */
export function retryDelayMs(schedule: Schedule, attempts: number, random: number): number {
  const { retrySeconds } = schedule;
  const seconds = retrySeconds[Math.min(attempts, retrySeconds.length) - 1] ?? 60;
  const factor = 1 - jitterPart + 2 * jitterPart * random;
  return Math.max(delayMsMin, Math.round(seconds * 1000 * factor));
}

/** Epoch milliseconds of the next attempt: never later than the expiry, so that the last one falls upon it. */
export function nextAttemptAt(
  schedule: Schedule,
  entry: { readonly attempts: number; readonly expiresAt: number },
  now: number,
  random: number,
): number {
  const wanted = now + retryDelayMs(schedule, entry.attempts, random);
  return Math.min(wanted, Math.max(entry.expiresAt, now + delayMsMin));
}

/** Asked only after an attempt failed: a clock that jumped ahead costs no entry its last attempt. */
export function isExpired(entry: { readonly expiresAt: number }, now: number): boolean {
  return now >= entry.expiresAt;
}
