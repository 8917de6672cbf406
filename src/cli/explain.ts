/** `mailfilter explain ID`: the story of a message, by transaction id, queue id or Message-ID; `--shadow`: of plugins on trial. */
import { join } from 'node:path';
import type { Command } from 'commander';
import { systemClock } from '../../core/base/clock.ts';
import { silentLog } from '../../core/base/log.ts';
import type { Config } from '../../core/config/config.ts';
import { loadConfig } from '../../core/config/load.ts';
import { openTraceStore, type TraceStore } from '../../core/state/trace-store.ts';
import type { WalkTrace } from '../flow/house.ts';
import { configOption, findConfig } from './config-file.ts';
import { timeOption } from './duration.ts';
import { CommandError, exitCodes } from './exit-codes.ts';
import { mayRead } from './needed-file.ts';
import { traceDirectory } from './running-server.ts';
import { sumUpShadows, tellShadows } from './shadows.ts';
import { tellStory } from './story.ts';

interface Options {
  readonly config?: string;
  readonly json?: boolean;
  readonly shadow?: boolean;
  /** Milliseconds. */
  readonly since: number;
}

/** One Message-ID may have come several times: sent to several hosts, or twice. */
const storiesMax = 20;

export function define(command: Command): void {
  command
    .argument('[id]', 'transaction id (in the Received line and the logs), queue id or Message-ID')
    .option(...configOption)
    .option('--shadow', 'what plugins on trial ("shadow": true) would have done')
    .addOption(timeOption('--since <time>', 'with --shadow, how far back: 12h, 7d', '7d'))
    .option('--json', 'print the trace as JSON')
    .action((id: string | undefined, options: Options) => {
      if ((id === undefined) !== (options.shadow === true)) {
        throw new CommandError(exitCodes.usage, 'explain: give the id of a message, or --shadow');
      }
      const config = loadConfig(findConfig(options.config));
      const store = openTraces(config);
      try {
        if (id === undefined) {
          const trials = sumUpShadows(store.since(Date.now() - options.since));
          const text = options.json === true ? JSON.stringify(trials, null, 2) : tellShadows(trials);
          process.stdout.write(`${text}\n`);
          return;
        }
        const found = store.findAll(id, storiesMax);
        if (found.length === 0) {
          throw new CommandError(
            exitCodes.negative,
            `no trace of "${id}" in ${config.dataDirectory}`,
            `Traces are kept for ${config.trace.retentionDays} days.`,
          );
        }
        const text = options.json === true ? JSON.stringify(found, null, 2) : found.map(tellStory).join('\n');
        process.stdout.write(`${text}\n`);
      } finally {
        store.close();
      }
    });
}

/** For reading only, beside the server that writes. */
export function openTraces(config: Config): TraceStore<WalkTrace> {
  const directory = traceDirectory(config);
  mayRead(join(directory, 'trace.db'));
  return openTraceStore<WalkTrace>({
    directory,
    retentionDays: config.trace.retentionDays,
    retentionBytes: config.trace.retentionBytes,
    clock: systemClock,
    log: silentLog,
    readOnly: true,
  });
}
