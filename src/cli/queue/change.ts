/** Changes entries of a queue: asks the server that runs, or opens the queue where none does. */
import { join } from 'node:path';
import { systemClock as clock } from '../../../core/base/clock.ts';
import { silentLog } from '../../../core/base/log.ts';
import type { Config } from '../../../core/config/config.ts';
import { connectCalls } from '../../calls/connect.ts';
import { openDataDirectory, runDirectory } from '../../data-directory.ts';
import { type Change, changeQueue } from '../../queue/change.ts';
import { openQueue } from '../../queue/open.ts';
import { exitCodes } from '../exit-codes.ts';
import { runningServer } from '../running-server.ts';
import { lookInto, matching } from './find.ts';

/** Durable when it resolves; answers the ids that were changed. */
export async function change(config: Config, wanted: Change): Promise<readonly string[]> {
  if (wanted.ids.length === 0) return [];
  if (runningServer(config) !== undefined) {
    const calls = connectCalls(runDirectory(config.dataDirectory));
    try {
      return await calls.queue(wanted);
    } finally {
      calls.close();
    }
  }
  const data = openDataDirectory(config.dataDirectory, undefined);
  const queue = openQueue({
    directory: join(config.dataDirectory, 'queue'),
    ...config.queue,
    clock,
    log: silentLog,
  });
  try {
    return await changeQueue(queue, wanted);
  } finally {
    await queue.close();
    data.release();
  }
}

/** `sendmail -q`: everything that waits is tried now. */
export async function tryQueueAgain(config: Config): Promise<number> {
  const ids = lookInto(config, [], (queue) => matching(queue, { status: 'waiting' }).map(({ id }) => id));
  await change(config, { action: 'retry', ids });
  return exitCodes.ok;
}
