/** `mailfilter auth dmarc-report`: the aggregate reports that were gathered, printed or written as files to send. RFC 9990. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Command } from 'commander';
import {
  type AggregateReport,
  formatAggregateReport,
  reportFileName,
} from '../../core/auth/dmarc/aggregate-report.ts';
import { type GatheredReport, gatherReports } from '../../core/auth/dmarc/report-state.ts';
import { systemClock } from '../../core/base/clock.ts';
import { loadConfig } from '../../core/config/load.ts';
import { readSqliteState } from '../../core/state/sqlite.ts';
import { configOption, findConfig } from './config-file.ts';
import { CommandError, exitCodes } from './exit-codes.ts';

interface Options {
  config?: string;
  day?: string;
  directory?: string;
  domain?: string;
  json?: boolean;
}

export function defineDmarcReport(command: Command): void {
  command
    .command('dmarc-report')
    .description('the aggregate reports that the plugin dmarc has gathered')
    .option(...configOption)
    .option('--day <date>', 'only this day, as in 2026-11-21 (of UTC)')
    .option('--domain <name>', 'only this domain')
    .option('--directory <folder>', 'write a gzipped file for each domain and day there instead of printing')
    .option('--json', 'print what was gathered, as JSON')
    .action(report);
}

async function report(options: Options): Promise<void> {
  const config = loadConfig(findConfig(options.config));
  if (options.day !== undefined && !/^\d{4}-\d\d-\d\d$/.test(options.day))
    throw new CommandError(exitCodes.usage, `--day ${options.day} is no date like 2026-11-21`);
  const state = readSqliteState(join(config.dataDirectory, 'state'), 'dmarc', systemClock);
  let gathered: GatheredReport[];
  try {
    gathered = await gatherReports(state, options.day);
  } finally {
    state.close();
  }
  const wanted = gathered.filter(
    ({ policy }) => options.domain === undefined || policy.domain === options.domain,
  );
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify(wanted, null, 2)}\n`);
    return;
  }
  const email = `postmaster@${config.domains[0] ?? config.hostname}`;
  const reports = wanted.map((each): AggregateReport => ({ ...each, organization: config.hostname, email }));
  if (options.directory === undefined) {
    process.stdout.write(reports.map(formatAggregateReport).join(''));
    return;
  }
  mkdirSync(options.directory, { recursive: true });
  for (const each of reports) {
    const file = join(options.directory, reportFileName(each, config.hostname));
    writeFileSync(file, gzipSync(formatAggregateReport(each)));
    process.stdout.write(`${file}\n`);
  }
}
