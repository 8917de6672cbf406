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
    return `${octetsOf(name)} ${value === undefined ? 'NIL' : valueText(octetsOf(value))}`;
  });
  return `METADATA ${folder === '' ? '""' : session.mailboxText(folder)} (${told.join(' ')})`;
}

/** NUL may stand in a literal8 alone. RFC 5464 section 5. */
function valueText(octets: string): string {
  return octets.includes('\0') ? `~{${octets.length}}\r\n${octets}` : imapString(octets);
}
