/** A user's ~/.procmailrc: whether there is one, and mail through it. Loaded for every message, so it loads nothing itself. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Account } from '../account.ts';
import type { Place } from '../place.ts';

export function rcfileOf({ home }: Account): string {
  return join(home, '.procmailrc');
}

export function hasRcfile(account: Account): boolean {
  return statSync(rcfileOf(account), { throwIfNoEntry: false })?.isFile() === true;
}

/**
 * As `procmail -t` delivers it: the exit code; EX_TEMPFAIL where no folder takes it.
 *
 * @param mail LF line ends, with or without a From_ line
 * @param sender of the From_ line; undefined: the mail's own stays
 * @param detail `$1` of the rcfile
 */
export async function deliverByOwnRcfile(
  mail: Uint8Array,
  account: Account,
  sender: string | undefined,
  detail: string,
  place: Place,
): Promise<number> {
  const { deliverByRcfile } = await import('./deliver.ts');
  const { exitCode } = await deliverByRcfile(
    mail,
    account,
    {
      ...{ general: false, preserve: false, softly: true, override: false, berkeley: false, version: false },
      ...{ variables: {}, rcfiles: [], recipients: [] },
      // RFC 5321 section 4.5.5: the null reverse-path, as mailboxes name it.
      sender: sender === '' ? 'MAILER-DAEMON' : sender,
      positional: detail === '' ? [] : [detail],
    },
    place,
  );
  return exitCode;
}
