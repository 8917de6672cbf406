/** One mail through a user's rcfiles, as procmail(1) does it: the defaults, the From_ line, the exit code. */
import { hostname } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { type RunResult, runProcmail } from '../../../../rules/procmail/run.ts';
import type { ProcmailArguments } from './arguments.ts';
import { carryOutSteps } from './carry-out.ts';

export interface ProcmailUser {
  readonly name: string;
  readonly home: string;
  readonly shell: string;
}

/** The version that rcfiles are told. */
const version = '3.22';

/** Everything procmail sets before it reads an rcfile. */
export function defaultVariables(user: ProcmailUser, { general }: ProcmailArguments): Record<string, string> {
  const orgmail = `/var/mail/${user.name}`;
  return {
    LOGNAME: user.name,
    HOME: user.home,
    SHELL: user.shell,
    PATH: `${user.home}/bin:/usr/local/bin:/usr/bin:/bin`,
    SHELLMETAS: '&|<>~;?*[',
    SHELLFLAGS: '-c',
    ...(general ? {} : { ORGMAIL: orgmail, DEFAULT: orgmail }),
    MSGPREFIX: 'msg.',
    SENDMAIL: '/usr/sbin/sendmail',
    SENDMAILFLAGS: '-oi',
    HOST: hostname(),
    COMSAT: 'no',
    PROCMAIL_VERSION: version,
    LOCKEXT: '.lock',
    ...(process.env.TZ === undefined ? {} : { TZ: process.env.TZ }),
    MAILDIR: general ? '.' : user.home,
  };
}

/** @param octets the mail as it came, LF line ends */
export function deliverByRcfile(
  octets: Uint8Array,
  user: ProcmailUser,
  given: ProcmailArguments,
): Promise<RunResult> {
  const rcfiles = given.rcfiles.length > 0 ? given.rcfiles : ['.procmailrc'];
  const base = given.general ? undefined : user.home;
  return carryOutSteps(
    runProcmail({
      octets: withFromLine(octets, given),
      rcfiles: rcfiles.map((path) => placeOf(path, base)),
      variables: { ...(given.preserve ? environment() : {}), ...defaultVariables(user, given), ...given.variables },
      positional: given.positional,
      host: hostname(),
      processId: process.pid,
      softly: given.softly,
    }),
  );
}

function environment(): Record<string, string> {
  return Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** Relative to the home directory, unless it says that it is not. */
function placeOf(path: string, home: string | undefined): string {
  return isAbsolute(path) || path.startsWith('./') || home === undefined ? path : join(home, path);
}

/** With -f the From_ line is ours, with `-` only its date. */
function withFromLine(octets: Uint8Array, { sender }: ProcmailArguments): Uint8Array {
  if (sender === undefined) return octets;
  const text = Buffer.from(octets);
  const has = text.subarray(0, 5).equals(Buffer.from('From '));
  const end = has ? text.indexOf(10) + 1 : 0;
  const before = has ? (/^From (\S+)/.exec(text.toString('latin1', 0, end))?.[1] ?? 'foo@bar') : 'foo@bar';
  const line = `From ${sender === '-' ? before : sender}  ${asctime(new Date())}\n`;
  return Buffer.concat([Buffer.from(line, 'latin1'), text.subarray(end)]);
}

/** `Sat Nov 21 09:00:00 2026`, local time. */
function asctime(date: Date): string {
  const [week, month, day, year] = date.toDateString().split(' ');
  const clock = date.toTimeString().slice(0, 8);
  return `${week} ${month} ${String(Number(day)).padStart(2)} ${clock} ${year}`;
}
