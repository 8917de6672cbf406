/** Quarantined mail has its time: what nobody released in it is deleted, and its trace and the log say so. */
import { describeError } from '../../core/base/errors.ts';
import { quarantineLookMs } from '../../core/base/limits/outbound.ts';
import type { Queue } from '../queue/queue.ts';
import type { House } from './house.ts';

type ExpiringHouse = Pick<House, 'config' | 'clock' | 'log' | 'note'>;

/** @returns ends it */
export function startQuarantineExpiry(house: () => ExpiringHouse, queue: Queue): () => void {
  const look = () => {
    expireQuarantine(house(), queue).catch((error) => {
      house().log.error('quarantine-expiry-failed', { error: describeError(error) });
    });
  };
  const timer = setInterval(look, quarantineLookMs).unref();
  look();
  return () => clearInterval(timer);
}

/** Answers the ids of the entries that went. What an operator holds of other mail stays. */
export async function expireQuarantine(
  { config, clock, log, note }: ExpiringHouse,
  queue: Queue,
): Promise<string[]> {
  const { quarantineSeconds } = config.queue;
  const expired: string[] = [];
  if (quarantineSeconds === 0) return expired;
  const oldest = clock.now() - quarantineSeconds * 1000;
  let after: string | undefined;
  for (;;) {
    const page = queue.list({ status: 'held', ...(after !== undefined && { after }) });
    for (const { id, transactionId, work, createdAt, envelope } of page) {
      if (work.kind !== 'held' || createdAt > oldest || !(await queue.remove(id))) continue;
      expired.push(id);
      note(id, { at: clock.now(), event: 'quarantine-expired', reason: work.reason });
      log.info('quarantine-expired', { id: transactionId, action: id, from: envelope.sender });
    }
    after = page.at(-1)?.id;
    if (after === undefined) return expired;
  }
}
