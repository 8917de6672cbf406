/** Which config a command works with. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { CommandError, exitCodes } from './exit-codes.ts';
import { isThere } from './needed-file.ts';

/** Looked for in this order when neither -c nor MAILFILTER_CONFIG names one. */
export const configSearch = [
  './mailfilter.json',
  './.mailfilter/mailfilter.json',
  '/etc/mailfilter/mailfilter.json',
] as const;

/** Words of the -c option, the same for every command that reads a config. */
export const configOption = [
  '-c, --config <file>',
  `config file (default: $MAILFILTER_CONFIG, else the first of ${configSearch.join(', ')})`,
] as const;

/** Absolute path. Throws a CommandError when no config is found. */
export function findConfig(named: string | undefined): string {
  const given = named ?? process.env.MAILFILTER_CONFIG;
  if (given !== undefined && given !== '') {
    if (isThere(given)) return resolve(given);
    const source = named === undefined ? 'MAILFILTER_CONFIG names' : '-c names';
    throw new CommandError(exitCodes.config, `${source} ${given}, and there is no such file`);
  }
  const found = usualConfig();
  if (found !== undefined) return found;
  throw new CommandError(
    exitCodes.config,
    `no config found (looked for ${configSearch.join(', ')})`,
    'Name one with -c FILE, or make one with "mailfilter init server".',
  );
}

/** The first config in the usual places, absolute; undefined when there is none. */
export function usualConfig(): string | undefined {
  const found = configSearch.find((path) => existsSync(path));
  return found === undefined ? undefined : resolve(found);
}
