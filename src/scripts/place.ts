/** Where a user's Sieve scripts lie: a folder of `NAME.sieve` files and a link to the active one, the layout of Pigeonhole. */
import { join } from 'node:path';
import { mailboxPath } from '../mailbox/locate.ts';

export interface ScriptTemplates {
  /** Absolute, with `{domain}`, `{user}` or `{address}`: the folder of scripts. */
  readonly directory: string;
  /** The same for the link to the active script; a plain file there is a script too. */
  readonly active: string;
}

export interface ScriptPlace {
  readonly directory: string;
  readonly active: string;
}

/** @throws OperationalError `mailbox-path` when a part of the address cannot be part of a path */
export function scriptPlace(templates: ScriptTemplates, user: string): ScriptPlace {
  return {
    directory: mailboxPath(templates.directory, user),
    active: mailboxPath(templates.active, user),
  };
}

const suffix = '.sieve';

/** @param name one that `isScriptName` takes */
export function scriptPath({ directory }: ScriptPlace, name: string): string {
  return join(directory, `${name}${suffix}`);
}

/** The name of the script in that file of the folder; undefined for other files. */
export function scriptNameOf(file: string): string | undefined {
  return file.endsWith(suffix) && file.length > suffix.length ? file.slice(0, -suffix.length) : undefined;
}
