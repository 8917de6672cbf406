/** One mail through a user's rcfiles, as procmail(1) does it: the defaults, the From_ line, the exit code. */
import { statSync } from 'node:fs';
import { hostname } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { type RunResult, runProcmail } from '../../../../rules/procmail/run.ts';
import { asctime } from '../../asctime.ts';
import type { Account } from '../account.ts';
import { mailPlace, type Place } from '../place.ts';
import type { ProcmailArguments } from './arguments.ts';
import { carryOutSteps } from './carry-out.ts';
import { hasRcfile, rcfileOf } from './own-rcfile.ts';

/** Read first, where nothing is said of rcfiles on the command line. */
const siteRcfile = '/etc/procmailrc';

/**
 * @param octets the mail as it came, LF line ends
 * @param place the mailbox for what no recipe delivers: ORGMAIL, and DEFAULT at first
 */
export function deliverByRcfile(
  octets: Uint8Array,
  account: Account,
  given: ProcmailArguments,
  place: Place = mailPlace(account),
): Promise<RunResult> {
  const chosen = given.rcfiles.length > 0;
  const rcfiles = chosen ? given.rcfiles.map((path) => placeOf(path, given, account)) : ownRcfile(account);
  const site = chosen || given.preserve || !exists(siteRcfile) ? {} : { siteRcfile };
  return carryOutSteps(
    runProcmail({
      ...site,
      octets: withFromLine(octets, given, account),
      rcfiles,
      variables: {
        ...(given.preserve ? environment() : {}),
        ...defaultVariables(account, given, place),
        ...given.variables,
      },
      positional: given.positional,
      host: hostname(),
      processId: process.pid,
      softly: given.softly,
    }),
    { userId: given.general ? undefined : account.uid, ownRcfile: chosen ? undefined : rcfiles[0] },
  );
}

/** Everything procmail sets before it reads an rcfile. */
function defaultVariables(
  { name, home, shell }: Account,
  { general }: ProcmailArguments,
  place: Place,
): Record<string, string> {
  const mailbox = place.format === 'maildir' ? `${place.path}/` : place.path;
  return {
    LOGNAME: name,
    HOME: home,
    SHELL: shell,
    PATH: `${home}/bin:/usr/local/bin:/usr/bin:/bin`,
    SHELLMETAS: '&|<>~;?*[',
    SHELLFLAGS: '-c',
    ...(general ? {} : { ORGMAIL: mailbox, DEFAULT: mailbox }),
    MSGPREFIX: 'msg.',
    SENDMAIL: '/usr/sbin/sendmail',
    SENDMAILFLAGS: '-oi',
    HOST: hostname(),
    COMSAT: 'no',
    PROCMAIL_VERSION: '3.22',
    LOCKEXT: '.lock',
    ...(process.env.TZ === undefined ? {} : { TZ: process.env.TZ }),
    MAILDIR: general ? '.' : home,
  };
}

function ownRcfile(account: Account): string[] {
  return hasRcfile(account) ? [rcfileOf(account)] : [];
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function environment(): Record<string, string> {
  const entries = Object.entries(process.env);
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** Relative to the home directory, unless it says that it is not. */
function placeOf(path: string, { general }: ProcmailArguments, { home }: Account): string {
  return isAbsolute(path) || path.startsWith('./') || general ? path : join(home, path);
}

/** With -f the From_ line is ours, with `-` only its date. */
function withFromLine(octets: Uint8Array, { sender }: ProcmailArguments, { name }: Account): Uint8Array {
  if (sender === undefined) return octets;
  const text = Buffer.from(octets);
  const has = text.subarray(0, 5).equals(Buffer.from('From '));
  const end = has ? text.indexOf(10) + 1 || text.length : 0;
  const before = /^From (\S+)/.exec(text.toString('latin1', 0, end))?.[1] ?? name;
  const line = `From ${sender === '-' ? before : sender}  ${asctime(new Date())}\n`;
  return Buffer.concat([Buffer.from(line, 'latin1'), text.subarray(end)]);
}
