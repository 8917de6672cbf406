/** How often something may be done for one name within an hour: a list gone wrong must not fill a mailbox. */
import type { Clock } from '../../core/base/clock.ts';

const hourMs = 3_600_000;

export interface HourlyLimit {
  readonly perHour: number;
  /** Names that are remembered; past it the oldest is forgotten. */
  readonly namesMax: number;
}

/** Answers, and counts, whether it may be done for that name once more now. */
export function createHourlyLimit(
  clock: Pick<Clock, 'monotonicMs'>,
  { perHour, namesMax }: HourlyLimit,
): (name: string) => boolean {
  const counted = new Map<string, { since: number; count: number }>();
  return (name) => {
    const now = clock.monotonicMs();
    const found = counted.get(name);
    if (found !== undefined && now - found.since < hourMs) {
      if (found.count >= perHour) return false;
      found.count += 1;
      return true;
    }
    counted.delete(name);
    const oldest = counted.size >= namesMax ? counted.keys().next().value : undefined;
    if (oldest !== undefined) counted.delete(oldest);
    counted.set(name, { since: now, count: 1 });
    return true;
  };
}
