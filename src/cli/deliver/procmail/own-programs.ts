/** formail for the programs of an rcfile on machines that have none: ours comes last on their PATH. */
import { accessSync, constants } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Environment } from '../../../../rules/procmail/steps.ts';

const folder = fileURLToPath(new URL('../../../programs', import.meta.url));

/** The last PATH that was looked through: most rcfiles have one. */
let seen: { readonly path: string; readonly extended: string } | undefined;

/** The environment with our programs at the end of PATH, unless the machine has its own. */
export function withOwnPrograms(environment: Environment): Environment {
  const { PATH: path = '' } = environment;
  if (seen?.path !== path) seen = { path, extended: extended(path) };
  return seen.extended === path ? environment : { ...environment, PATH: seen.extended };
}

function extended(path: string): string {
  const folders = path.split(delimiter).filter((each) => each !== '');
  if (folders.some((each) => isProgram(join(each, 'formail')))) return path;
  // Its first line asks for node, which need not be where a user's PATH leads.
  return [...folders, folder, dirname(process.execPath)].join(delimiter);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
