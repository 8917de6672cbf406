/** Whether the server runs, has room, and gets rid of its mail. */
import { existsSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { describeError } from '../../core/base/errors.ts';
import type { Config } from '../../core/config/config.ts';
import { readQueue } from '../queue/open.ts';
import type { Finding } from './check.ts';
import { duration } from './duration.ts';
import { isThere } from './needed-file.ts';
import { runningServer } from './running-server.ts';

/** Mail that waits for longer than greylisting and a short breakdown explain. */
const oldMs = 4 * 3_600_000;
/** Parts of a file system that should be free: journal segments are made ahead of the mail. */
const freePartMin = 0.05;

export function checkServer(config: Config): Finding[] {
  const pid = runningServer(config);
  const where = config.dataDirectory;
  const running: Finding =
    pid === undefined
      ? { severity: 'warning', area: 'server', where, what: 'no server runs here' }
      : { severity: 'ok', area: 'server', where, what: `a server runs (process ${pid})` };
  return [running, ...checkRoom(where), ...checkQueue(config)];
}

function checkRoom(where: string): Finding[] {
  if (!existsSync(where)) return [];
  const { bavail, blocks, ffree, files } = statfsSync(where);
  // Some file systems do not count their inodes.
  const free = Math.min(bavail / blocks, files > 0 ? ffree / files : 1);
  const what = `${Math.floor(free * 100)} % of the file system is free`;
  return [{ severity: free < freePartMin ? 'error' : 'ok', area: 'disk', where, what }];
}

function checkQueue(config: Config): Finding[] {
  const where = join(config.dataDirectory, 'queue');
  if (!isThere(join(where, 'queue.db'))) return [];
  const area = 'queue';
  try {
    const queue = readQueue(where);
    try {
      const { waiting, active, held, failed } = queue.count();
      const summary = `${waiting + active} wait, ${held} are held, ${failed} are to be told`;
      const old = queue
        .summary()
        .filter(({ oldest, waiting: left }) => left > 0 && Date.now() - oldest > oldMs)
        .map(
          ({ destination, entries, oldest, reason }): Finding => ({
            severity: 'warning',
            area,
            where: destination || 'this host',
            what: `${entries} wait, the oldest since ${duration(Date.now() - oldest)}: ${reason}`,
          }),
        );
      return [{ severity: held > 0 ? 'note' : 'ok', area, where, what: summary }, ...old];
    } finally {
      queue.close();
    }
  } catch (error) {
    return [{ severity: 'error', area, where, what: describeError(error) }];
  }
}
