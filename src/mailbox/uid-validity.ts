/** UIDVALIDITY of a new folder: seconds since the epoch, and never one that this process gave before. RFC 9051 section 2.3.1.1. */
import type { Clock } from '../../core/base/clock.ts';

let last = 0;

/** @param above one that the folder had before */
export function nextUidValidity(clock: Clock, above = 0): number {
  last = Math.max(Math.floor(clock.now() / 1000), last + 1, above + 1);
  return last;
}
