/**
 * Counts events over a window that slides: the count of this window, and of the one before the share that the sliding
 * window still covers. Two counters for each subject, whatever is counted, and never more than `max` taken in a burst.
 */
import type { PluginState } from 'mailfilter/plugin';

/**
 * @param now epoch milliseconds
 * @returns false when the event is one too many; it is then not counted, so that waiting helps
 */
export async function countIn(
  state: PluginState,
  now: number,
  key: string,
  { max, seconds }: { readonly max: number; readonly seconds: number },
): Promise<boolean> {
  const length = seconds * 1000;
  const window = Math.floor(now / length);
  const before = await state.get(`${key}/${window - 1}`);
  const covered = 1 - (now % length) / length;
  const earlier = typeof before === 'number' ? before * covered : 0;
  // Counted first and taken back after, so that of several at the same time no more than `max` pass.
  const count = await state.increment(`${key}/${window}`, 1, { ttlSeconds: seconds * 2 });
  if (earlier + count <= max) return true;
  await state.increment(`${key}/${window}`, -1, { ttlSeconds: seconds * 2 });
  return false;
}
