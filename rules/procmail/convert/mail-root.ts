/** Where folders of an rcfile lie, for a script whose folders have names of their own. */
import { expandText } from '../expand.ts';
import type { MailRoot } from '../mailbox-names.ts';
import { parseRcfile } from '../rcfile.ts';
import { CannotConvert } from './cannot-convert.ts';
import { ConversionScope, expanded } from './scope.ts';

export interface MailRootOptions {
  /** Set before the first line of the rcfile: HOME, LOGNAME, MAILDIR, DEFAULT, ORGMAIL ... */
  readonly variables: Readonly<Record<string, string>>;
  /** Where folders lie; default: the first MAILDIR that the rcfile sets, else the one of `variables`. */
  readonly mailRoot?: string;
}

/** Where folders of an rcfile lie, and which of them are the inbox. */
export function mailRootOf(source: string, { variables, mailRoot }: MailRootOptions): MailRoot {
  const scope = new ConversionScope(variables);
  const inboxes = [variables.DEFAULT, variables.ORGMAIL].filter((path) => path !== undefined && path !== '');
  let root = mailRoot;
  for (const item of parseRcfile(source).items) {
    if (item.kind !== 'assignment' || item.value === undefined) continue;
    const text = textOf(item.value, scope);
    if (text === undefined) scope.setUnknown(item.name, 'is not known');
    else scope.setText(item.name, text);
    if (text === undefined || text === '') continue;
    if (item.name === 'MAILDIR') root ??= text;
    if ((item.name === 'DEFAULT' || item.name === 'ORGMAIL') && text !== '/dev/null') {
      const directory = scope.textOf('MAILDIR') ?? '/';
      inboxes.push(text.startsWith('/') ? text : `${directory}/${text}`);
    }
  }
  return { root: root ?? variables.MAILDIR ?? '/', inboxes: inboxes as string[] };
}

function textOf(value: string, scope: ConversionScope): string | undefined {
  try {
    return expanded(expandText(value, scope));
  } catch (error) {
    if (error instanceof CannotConvert) return undefined;
    throw error;
  }
}
