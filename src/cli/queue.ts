/** `mailfilter queue list`: mail that waits for another attempt, or for an operator. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { loadConfig } from '../../core/config/load.ts';
import { readQueue } from '../queue/open.ts';
import type { QueueEntry, QueueStatus } from '../queue/queue.ts';
import { configOption, findConfig } from './config-file.ts';
import { formatTable } from './table.ts';

export function define(command: Command): void {
  command
    .command('list')
    .description('show what waits, the oldest first')
    .option(...configOption)
    .addOption(new Option('--status <status>', 'only these').choices(['waiting', 'active', 'held', 'failed']))
    .option('--json', 'print JSON')
    .action((options: { config?: string; status?: QueueStatus; json?: boolean }) => {
      const config = loadConfig(findConfig(options.config));
      const entries = listEntries(join(config.dataDirectory, 'queue'), options.status);
      if (options.json === true) process.stdout.write(`${JSON.stringify(entries, null, 2)}\n`);
      else process.stdout.write(entries.length === 0 ? 'The queue is empty.\n' : tableOf(entries));
    });
}

/** A server that never ran has no queue, and nothing waits in it. */
function listEntries(directory: string, status: QueueStatus | undefined): QueueEntry[] {
  if (!existsSync(join(directory, 'queue.db'))) return [];
  const queue = readQueue(directory);
  try {
    return queue.list(status === undefined ? {} : { status });
  } finally {
    queue.close();
  }
}

function tableOf(entries: readonly QueueEntry[]): string {
  const now = Date.now();
  return formatTable(entries, [
    { title: 'id', value: ({ id }) => id },
    { title: 'status', value: ({ status }) => status },
    { title: 'kind', value: ({ work }) => work.kind },
    { title: 'from', value: ({ envelope }) => envelope.sender || '<>', shrink: true },
    { title: 'age', value: ({ createdAt }) => duration(now - createdAt), align: 'right' },
    { title: 'tries', value: ({ attempts }) => attempts, align: 'right' },
    {
      title: 'next in',
      value: ({ status, nextAttemptAt }) => (status === 'waiting' ? duration(nextAttemptAt - now) : ''),
      align: 'right',
    },
    { title: 'octets', value: ({ length }) => length, align: 'right' },
    { title: 'last error', value: ({ lastError }) => lastError, shrink: true },
  ]);
}

/** `3d4h`, `2h5m`, `7m`, `12s`; what is past counts as nothing. */
function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours}h${minutes % 60}m` : `${Math.floor(hours / 24)}d${hours % 24}h`;
}
