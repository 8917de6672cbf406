/** APPEND of one message or several, whole or put together from others. RFC 9051 section 6.3.12, RFC 3502, 4469, 9755. */
import type { AppendMessage } from '../../../mailbox/mailbox.ts';
import { command } from '../command.ts';
import { tellOfEvent } from '../imapsieve.ts';
import { type MessageSource, readMessageSource, takesMessageLiteral, uploaded } from '../message-source.ts';
import type { Cursor } from '../parse/cursor.ts';
import { readDateTime } from '../parse/date.ts';
import { intoTarget, no } from '../refusal.ts';
import type { Session } from '../session.ts';
import { setText } from '../write/text.ts';
import { readFlags } from './store.ts';

export interface NewMessage {
  readonly flags: readonly string[];
  readonly internalDate: number | undefined;
  readonly source: MessageSource;
}

export const append = command({
  name: 'APPEND',
  in: 'authenticated',
  takesMessage: takesMessageLiteral,
  parse(input) {
    input.space();
    const mailbox = input.mailbox();
    const messages: NewMessage[] = [];
    do {
      input.space();
      messages.push(readNewMessage(input));
    } while (!input.isAtEnd);
    return { mailbox, messages };
  },
  async run(session, { mailbox, messages }) {
    const folder = session.folderName(mailbox);
    const { uidValidity, uids } = await appendAll(session, folder, messages);
    const { selectedOrNone } = session;
    if (selectedOrNone?.folder.name === folder) await selectedOrNone.folder.refresh();
    return { code: `APPENDUID ${uidValidity} ${setText(uids)}` };
  },
});

/** `[(flags)] ["date"] message`. */
export function readNewMessage(input: Cursor): NewMessage {
  let flags: string[] = [];
  let internalDate: number | undefined;
  if (input.next === '(') {
    flags = readFlags(input);
    input.space();
  }
  if (input.next === '"') {
    internalDate = readDateTime(input);
    input.space();
  }
  return { flags, internalDate, source: readMessageSource(input) };
}

/** All of them, or none. */
export async function appendAll(session: Session, folder: string, messages: readonly NewMessage[]) {
  const ready: AppendMessage[] = [];
  const made: AppendMessage['upload'][] = [];
  try {
    for (const { flags, internalDate, source } of messages) {
      const upload = await uploaded(session, source, made);
      // RFC 9051 section 6.3.12: a client that changed its mind sends nothing.
      if (upload.octets === 0) throw no('an empty message was given up');
      ready.push({ upload, flags, ...(internalDate !== undefined && { internalDate }) });
    }
    const appended = await intoTarget(session.account.append(folder, ready));
    tellOfEvent(session, folder, 'APPEND', () => new Map(appended.uids.map((uid) => [uid, []])));
    return appended;
  } finally {
    for (const upload of made) await upload.discard();
  }
}
