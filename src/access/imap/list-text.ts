/** One folder as a LIST response names it. RFC 9051 section 7.3.1, RFC 3348, RFC 5258, RFC 6154. */
import type { FolderInfo } from '../../mailbox/mailbox.ts';
import type { Session } from './session.ts';

export interface ListTextOptions {
  /** Tells whether it is subscribed. */
  readonly subscribed?: boolean;
  readonly specialUse?: boolean;
  /** A folder below it was asked for and is not shown itself. RFC 5258 section 3.5. */
  readonly hasSubscribedChild?: boolean;
}

/** `(attributes) "/" name`, what follows LIST. */
export function listText(session: Session, info: FolderInfo, options: ListTextOptions = {}): string {
  return `(${attributes(info, options).join(' ')}) "/" ${session.mailboxText(info.name)}${childInfo(options)}`;
}

function childInfo({ hasSubscribedChild }: ListTextOptions): string {
  return hasSubscribedChild ? ' ("CHILDINFO" ("SUBSCRIBED"))' : '';
}

function attributes(info: FolderInfo, { subscribed, specialUse = true }: ListTextOptions): string[] {
  // RFC 5258 section 3: a name alone is \NonExistent, which says \Noselect to clients that do not know it.
  const found = info.exists ? [] : info.hasChildren ? ['\\Noselect'] : ['\\NonExistent', '\\Noselect'];
  if (subscribed && info.subscribed) found.push('\\Subscribed');
  found.push(info.hasChildren ? '\\HasChildren' : '\\HasNoChildren');
  if (specialUse) found.push(...info.specialUse);
  return found;
}
