/** Which mailboxes NOTIFY and ESEARCH mean. RFC 5465 section 6, RFC 7377 section 2.2. */
import type { FolderInfo } from '../../mailbox/mailbox.ts';
import type { Cursor } from './parse/cursor.ts';
import { bad } from './refusal.ts';
import type { Session } from './session.ts';

export type MailboxFilter =
  | { readonly kind: 'selected' | 'selected-delayed' | 'inboxes' | 'personal' | 'subscribed' }
  | { readonly kind: 'subtree' | 'subtree-one' | 'mailboxes'; readonly written: readonly string[] };

export function readMailboxFilter(input: Cursor): MailboxFilter {
  const kind = input.word().toLowerCase();
  switch (kind) {
    case 'selected':
    case 'selected-delayed':
    case 'inboxes':
    case 'personal':
    case 'subscribed':
      return { kind };
    case 'subtree':
    case 'subtree-one':
    case 'mailboxes':
      input.space();
      return {
        kind,
        written: input.next === '(' ? input.list(() => input.mailbox()) : [input.mailbox()],
      };
    default:
      throw bad(`there is no mailbox filter ${kind.slice(0, 40)}`);
  }
}

/** A question about a folder's name. @param folders those there are now, for who is subscribed */
export function filterMatches(
  session: Session,
  filter: MailboxFilter,
  folders: readonly FolderInfo[],
): (name: string) => boolean {
  switch (filter.kind) {
    case 'selected':
    case 'selected-delayed':
      return (name) => name === session.selectedOrNone?.folder.name;
    case 'inboxes':
      // What the mta delivers into: the INBOX, and by rules anything; the first is what is meant. RFC 5465 section 6.2.
      return (name) => name === 'INBOX';
    case 'personal':
      return () => true;
    case 'subscribed': {
      const subscribed = new Set(folders.filter((info) => info.subscribed).map((info) => info.name));
      return (name) => subscribed.has(name);
    }
    case 'mailboxes': {
      const names = new Set(filter.written.map((written) => session.folderName(written)));
      return (name) => names.has(name);
    }
    case 'subtree':
    case 'subtree-one': {
      const roots = filter.written.map((written) => session.folderName(written));
      const deep = filter.kind === 'subtree';
      return (name) => roots.some((root) => isBelow(name, root, deep));
    }
  }
}

function isBelow(name: string, root: string, deep: boolean): boolean {
  if (name === root) return true;
  if (!name.startsWith(`${root}/`)) return false;
  return deep || !name.slice(root.length + 1).includes('/');
}
