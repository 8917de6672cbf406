/** `mailfilter check`: everything that can be known to be wrong before mail is at risk. */
import type { Command } from 'commander';
import type { Config } from '../../core/config/config.ts';
import { ConfigError, formatProblem } from '../../core/config/findings.ts';
import { loadConfig } from '../../core/config/load.ts';
import { checkFiles } from './check-files.ts';
import { checkPlugins } from './check-plugins.ts';
import { checkScripts } from './check-scripts.ts';
import { checkSockets } from './check-sockets.ts';
import { configOption, findConfig } from './config-file.ts';
import { exitCodes } from './exit-codes.ts';
import { formatTable } from './table.ts';

/** One thing that was looked at. Errors make the command fail; a warning is for the operator to weigh. */
export interface Finding {
  readonly severity: 'ok' | 'note' | 'warning' | 'error';
  /** `config`, `file`, `socket`, `users`, `plugin` ... */
  readonly area: string;
  /** File with line and column, listener, plugin. */
  readonly where: string;
  readonly what: string;
}

export function define(command: Command): void {
  command
    .option(...configOption)
    .option('--json', 'print the findings as JSON')
    .action(async (options: { config?: string; json?: boolean }) => {
      tell(await check(findConfig(options.config)), options.json === true);
    });
}

/** Prints the findings; an error among them makes the command fail. */
export function tell(findings: readonly Finding[], json: boolean): void {
  process.stdout.write(json ? `${JSON.stringify(findings, null, 2)}\n` : report(findings));
  if (findings.some(({ severity }) => severity === 'error')) process.exitCode = exitCodes.negative;
}

/** Checks in an order in which each may rely on those before; a config that does not load ends it. */
export async function check(file: string): Promise<Finding[]> {
  let config: Config;
  try {
    config = loadConfig(file);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((problem) => {
      const [where = '', ...rest] = formatProblem(problem).split(' ');
      return { severity: 'error', area: 'config', where, what: rest.join(' ') };
    });
  }
  return [
    { severity: 'ok', area: 'config', where: config.file, what: 'is well formed' },
    ...(config.listeners.length === 0
      ? [
          {
            severity: 'note',
            area: 'config',
            where: config.file,
            what: 'has no listeners: for deliver and filter, not for serve',
          } as const,
        ]
      : []),
    ...(await checkFiles(config)),
    ...(await checkSockets(config)),
    ...(await checkPlugins(config)),
    ...checkScripts(config),
  ];
}

function report(findings: readonly Finding[]): string {
  const table = formatTable(findings, [
    { title: '', value: ({ severity }) => severity },
    { title: 'area', value: ({ area }) => area },
    { title: 'where', value: ({ where }) => where },
    { title: 'what', value: ({ what }) => what },
  ]);
  const counted = (severity: 'error' | 'warning'): string => {
    const count = findings.filter((finding) => finding.severity === severity).length;
    return `${count} ${severity}${count === 1 ? '' : 's'}`;
  };
  return `${table}\n${counted('error')}, ${counted('warning')}\n`;
}
