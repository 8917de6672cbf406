/** Entries as a METADATA response tells them. RFC 5464 section 4.4. */
import { imapString } from '../../../core/mail/imap-text.ts';
import type { Session } from './session.ts';
import { octetsOf } from './write/text.ts';

/** `METADATA mailbox (entry value ...)`; entries that are not there are NIL. */
export function metadataText(
  session: Session,
  folder: string,
  names: readonly string[],
  entries: ReadonlyMap<string, string>,
): string {
  const told = names.map((name) => {
    const value = entries.get(name);
    return `${octetsOf(name)} ${value === undefined ? 'NIL' : imapString(octetsOf(value))}`;
  });
  return `METADATA ${folder === '' ? '""' : session.mailboxText(folder)} (${told.join(' ')})`;
}
