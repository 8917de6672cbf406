/**
 * procmail's folders are files; those of Sieve and IMAP have names. One is brought to the other alike wherever that is asked
 * for: when an rcfile is converted, when the two are compared, and in the server.
 */
import { posix } from 'node:path';

export interface MailRoot {
  /** The folder that names are relative to: MAILDIR where the mail lies. Absolute. */
  readonly root: string;
  /** Where mail goes for which no recipe names a place: DEFAULT and ORGMAIL, as they stand in the rcfile. */
  readonly inboxes: readonly string[];
}

export type MailboxName =
  | { readonly kind: 'inbox' }
  | { readonly kind: 'nowhere' }
  | {
      readonly kind: 'mailbox';
      /** Levels parted by `/`. */
      readonly name: string;
    }
  | { readonly kind: 'none'; readonly reason: string };

/** @param path as the rcfile has it, relative to `directory`; a `/` at its end makes it a Maildir, `/.` an MH folder */
export function mailboxName(path: string, directory: string, { root, inboxes }: MailRoot): MailboxName {
  if (path === '/dev/null') return { kind: 'nowhere' };
  const place = placeOf(path, directory);
  if (inboxes.some((inbox) => placeOf(inbox, directory) === place)) return { kind: 'inbox' };
  const maildirs = inboxes.filter((inbox) => inbox.endsWith('/')).map((inbox) => placeOf(inbox, directory));
  for (const above of [...maildirs, placeOf(root, root)]) {
    const name = nameWithin(place, above, path.endsWith('/'));
    if (name === undefined) continue;
    const problem = problemOf(name);
    return problem === undefined ? { kind: 'mailbox', name } : { kind: 'none', reason: problem };
  }
  return { kind: 'none', reason: `${path} lies outside of the mail folder ${root}` };
}

function placeOf(path: string, directory: string): string {
  const whole = posix.resolve(directory, path.replace(/\/\.?$/, '') || '/');
  return whole;
}

/** @param isMaildir a name with a leading dot is one of Maildir++ then, whose dots part levels */
function nameWithin(place: string, above: string, isMaildir: boolean): string | undefined {
  if (!place.startsWith(`${above}/`)) return undefined;
  const name = place.slice(above.length + 1);
  if (!name.startsWith('.')) return name;
  return isMaildir && !name.includes('/') ? name.slice(1).split('.').join('/') : undefined;
}

function problemOf(name: string): string | undefined {
  if (name.toUpperCase() === 'INBOX') return 'a folder of the name INBOX is the inbox itself';
  const parts = name.split('/');
  if (parts.some((part) => part === '' || part.startsWith('.'))) return `${name} can be no folder's name`;
  return undefined;
}
