/** Where a system user's mail goes: what the config says, else $MAIL, else the conventions of Debian (policy section 11.6). */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Account } from './account.ts';

export interface Place {
  readonly format: 'maildir' | 'mbox';
  /** Absolute: the Maildir's root, or the mbox. */
  readonly path: string;
}

/** @param configured `mailbox` of a config; counts where its path holds {home} */
export function mailPlace(account: Account, configured?: Place): Place {
  if (configured?.path.includes('{home}')) {
    const path = configured.path.replaceAll('{home}', account.home).replaceAll('{user}', account.name);
    return { format: configured.format, path };
  }
  const mail = process.env.MAIL;
  if (mail?.startsWith('/')) {
    return {
      format: mail.endsWith('/') || isFolder(mail) ? 'maildir' : 'mbox',
      path: mail.replace(/\/+$/, ''),
    };
  }
  const maildir = join(account.home, 'Maildir');
  if (isFolder(maildir)) return { format: 'maildir', path: maildir };
  return { format: 'mbox', path: join('/var/mail', account.name) };
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
