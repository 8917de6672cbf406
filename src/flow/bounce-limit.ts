/** How many reports one sender gets within an hour: a list gone wrong must not fill a mailbox. */
import type { Clock } from '../../core/base/clock.ts';
import { outboundLimits } from '../../core/base/limits/outbound.ts';

const hourMs = 3_600_000;

/** Answers, and counts, whether another report may go to that sender now. */
export function createBounceLimit(clock: Clock): (sender: string) => boolean {
  const counted = new Map<string, { since: number; count: number }>();
  return (sender) => {
    const now = clock.monotonicMs();
    const found = counted.get(sender);
    if (found !== undefined && now - found.since < hourMs) {
      if (found.count >= outboundLimits.bouncesPerHour) return false;
      found.count += 1;
      return true;
    }
    counted.delete(sender);
    const oldest = counted.size >= outboundLimits.bounceSendersMax ? counted.keys().next().value : undefined;
    if (oldest !== undefined) counted.delete(oldest);
    counted.set(sender, { since: now, count: 1 });
    return true;
  };
}
