/** What an rcfile of a user without a home finds: names of paths, in which folders of the mailbox stand for files. */
import { posix } from 'node:path';
import type { DeliverInput } from 'mailfilter/plugin';
import { mailRootOf } from '../../rules/procmail/convert/mail-root.ts';
import type { MailRoot } from '../../rules/procmail/mailbox-names.ts';

/** There is no such place: what lies beside the rcfile has names that begin with it. */
const home = '/home';
export const rcfileName = `${home}/.procmailrc`;
const inbox = `${home}/Maildir/`;

export function variablesOf({ user, recipient }: DeliverInput, hostname: string): Record<string, string> {
  return {
    ...{ LOGNAME: user, HOME: home, SHELL: '/bin/sh', SHELLMETAS: '&|<>~;?*[', SHELLFLAGS: '-c' },
    ...{ ORGMAIL: inbox, DEFAULT: inbox, MAILDIR: home, HOST: hostname, MSGPREFIX: 'msg.' },
    ...{ SENDMAIL: 'sendmail', SENDMAILFLAGS: '-oi', PROCMAIL_VERSION: '3.22', LOCKEXT: '.lock' },
    RECIPIENT: recipient.address,
  };
}

export function rootOf(source: string, variables: Readonly<Record<string, string>>): MailRoot {
  return mailRootOf(source, { variables });
}

/** Beside the rcfile; undefined for a place that is not. */
export function includedName(path: string, directory: string): string | undefined {
  const whole = posix.resolve(directory, path);
  return whole.startsWith(`${home}/`) ? whole.slice(home.length + 1) : undefined;
}
