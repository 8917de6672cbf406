/** `mailfilter reload`: SIGHUP to the running server, then its answer. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { errnoOf } from '../../core/base/errors.ts';
import type { Config } from '../../core/config/config.ts';
import { loadConfig } from '../../core/config/load.ts';
import { configOption, findConfig } from './config-file.ts';
import { CommandError, exitCodes } from './exit-codes.ts';
import {
  lastReload,
  pidFile,
  type ReloadOutcome,
  runningServer,
  runningSupervisor,
} from './running-server.ts';

/** Loading plugins into fresh threads takes seconds; a minute is the end of patience. */
const waitMs = 60_000;
const pollMs = 50;

export function define(command: Command): void {
  command
    .option(...configOption)
    .option('--json', 'print the outcome as JSON')
    .action(async (options: { config?: string; json?: boolean }) => {
      // A config that does not load would be refused by the server as well: say so with its line and column.
      const config = loadConfig(findConfig(options.config));
      const outcome = await reload(config);
      if (options.json === true) process.stdout.write(`${JSON.stringify(outcome)}\n`);
      else if (outcome.ok) process.stdout.write('reloaded\n');
      if (outcome.ok) return;
      throw new CommandError(
        exitCodes.negative,
        `the server kept its old config: ${outcome.error ?? 'no reason given'}`,
        'Mend it and run "mailfilter reload" again.',
      );
    });
}

async function reload(config: Config): Promise<ReloadOutcome> {
  const pid = runningServer(config);
  const supervisor = runningSupervisor(config);
  if (pid === undefined || supervisor === undefined) {
    throw new CommandError(
      exitCodes.unavailable,
      `no server runs on ${config.dataDirectory} (${pidFile(config)})`,
      `Start it with "mailfilter serve -c ${config.file}".`,
    );
  }
  const before = lastReload(config)?.at;
  signal(supervisor);
  for (const until = Date.now() + waitMs; Date.now() < until; await sleep(pollMs)) {
    const outcome = lastReload(config);
    if (outcome !== undefined && outcome.at !== before) return outcome;
    if (runningServer(config) === undefined) {
      throw new CommandError(exitCodes.unavailable, `the server (process ${pid}) ended while it reloaded`);
    }
  }
  throw new CommandError(
    exitCodes.tempFail,
    `no answer from the server (process ${pid}) within ${waitMs / 1000} s`,
  );
}

function signal(supervisor: number): void {
  try {
    process.kill(supervisor, 'SIGHUP');
  } catch (error) {
    if (errnoOf(error) !== 'EPERM') throw error;
    throw new CommandError(
      exitCodes.noPermission,
      `the server (process ${supervisor}) belongs to another user`,
      'Run "mailfilter reload" as the user that started the server.',
    );
  }
}
