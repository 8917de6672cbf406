/** STATUS of a mailbox that need not be selected. RFC 9051 section 6.3.11, RFC 7162, RFC 7889, RFC 8438, RFC 8474, RFC 9208. */
import type { FolderStatus } from '../../mailbox/mailbox.ts';
import type { Cursor } from './parse/cursor.ts';
import { bad } from './refusal.ts';
import type { Session } from './session.ts';

const items = {
  MESSAGES: ({ messages }: FolderStatus) => messages,
  RECENT: ({ recent }: FolderStatus) => recent,
  UNSEEN: ({ unseen }: FolderStatus) => unseen,
  DELETED: ({ deleted }: FolderStatus) => deleted,
  UIDNEXT: ({ uidNext }: FolderStatus) => uidNext,
  UIDVALIDITY: ({ uidValidity }: FolderStatus) => uidValidity,
  HIGHESTMODSEQ: ({ highestModseq }: FolderStatus) => highestModseq,
  MAILBOXID: ({ mailboxId }: FolderStatus) => `(${mailboxId})`,
  SIZE: ({ size }: FolderStatus) => size ?? 0,
  'DELETED-STORAGE': ({ deletedStorage }: FolderStatus) => deletedStorage ?? 0,
  APPENDLIMIT: (_: FolderStatus, session: Session) => session.house.config().limits.messageBytesMax,
} as const;

export type StatusItem = keyof typeof items;

/** `(item item)`. */
export function readStatusItems(input: Cursor): StatusItem[] {
  return input.list(() => {
    const name = input.word();
    if (!Object.hasOwn(items, name)) throw bad(`there is no status item ${name.slice(0, 40)}`);
    return name as StatusItem;
  });
}

/** `STATUS mailbox (...)`. @throws MailboxError NONEXISTENT */
export async function statusText(
  session: Session,
  folder: string,
  wanted: readonly StatusItem[],
): Promise<string> {
  if (wanted.includes('HIGHESTMODSEQ')) session.enableCondstore();
  const size = wanted.some((item) => item === 'SIZE' || item === 'DELETED-STORAGE');
  const status = await session.account.status(folder, { size });
  const told = wanted.map((item) => `${item} ${items[item](status, session)}`);
  return `STATUS ${session.mailboxText(folder)} (${told.join(' ')})`;
}
