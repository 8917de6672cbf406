/** The entries of a queue that a command line names: by id, by message, by destination, or all. */
import { join } from 'node:path';
import type { Config } from '../../../core/config/config.ts';
import { readQueue } from '../../queue/open.ts';
import type { QueueEntry, QueueStatus } from '../../queue/queue.ts';
import { CommandError, exitCodes } from '../exit-codes.ts';
import { isThere } from '../needed-file.ts';

type Reader = ReturnType<typeof readQueue>;

/** Runs `look` on the queue of a config; `none` where a server never ran, so that nothing waits. */
export function lookInto<Answer>(config: Config, none: Answer, look: (queue: Reader) => Answer): Answer {
  const directory = join(config.dataDirectory, 'queue');
  if (!isThere(join(directory, 'queue.db'))) return none;
  const queue = readQueue(directory);
  try {
    return look(queue);
  } finally {
    queue.close();
  }
}

export interface EntryFilter {
  readonly status?: QueueStatus;
  readonly destination?: string;
  /** Part of the sender's address. */
  readonly sender?: string;
}

/** All that match, page by page. */
export function matching(queue: Reader, { status, destination, sender }: EntryFilter): QueueEntry[] {
  const found: QueueEntry[] = [];
  let after: string | undefined;
  for (;;) {
    const page = queue.list({ ...(status && { status }), ...(after && { after }) });
    for (const entry of page) {
      if (destination !== undefined && entry.destination !== destination.toLowerCase()) continue;
      if (sender !== undefined && !entry.envelope.sender.includes(sender)) continue;
      found.push(entry);
    }
    after = page.at(-1)?.id;
    if (after === undefined) return found;
  }
}

/**
 * Ids of entries: each argument is one, or the id of a message, which means all of its entries.
 * @param place what the command that asks calls the list of them
 * @throws CommandError for one that is nothing here
 */
export function idsOf(
  queue: Reader,
  written: readonly string[],
  place: 'queue' | 'quarantine' = 'queue',
): string[] {
  return written.flatMap((id) => {
    if (queue.get(id) !== undefined) return [id];
    const ofMessage = queue.list({ transactionId: id }).map((entry) => entry.id);
    if (ofMessage.length > 0) return ofMessage;
    throw new CommandError(
      exitCodes.negative,
      `nothing in the ${place} is called ${id}`,
      `See "mailfilter ${place} list".`,
    );
  });
}

/** Addresses that an entry is for. */
export function recipientsOf({ work }: QueueEntry): string[] {
  switch (work.kind) {
    case 'store':
      return [(work.store as { deliveredTo?: string } | null)?.deliveredTo ?? ''];
    case 'submit':
      return [...work.recipients];
    case 'notice':
      return work.reports.map(({ recipient }) => recipient.address);
    default:
      return work.recipients.map(({ address }) => address);
  }
}
