/** One mail through a user's filters, as maildrop(1) does it: whose filters may be believed, the variables, the exit code. */
import { type Stats, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { maildropLimits } from '../../../core/base/limits/rules.ts';
import { type FilterInput, runMaildrop } from '../../../rules/maildrop/run.ts';
import { asctime } from '../asctime.ts';
import { type Account, actAs, callingAccount, systemAccount } from '../deliver/account.ts';
import { DeliveryError, deliveryCodes } from '../deliver/delivery-error.ts';
import { mailPlace } from '../deliver/place.ts';
import { readMail } from '../deliver/procmail/read-mail.ts';
import type { MaildropArguments } from './arguments.ts';
import { carryOutFilter, type Streams } from './carry-out.ts';

/** Run first, for each user. */
const siteFilter = '/etc/maildroprc';
const stickyBit = 0o1000;

/** @throws DeliveryError EX_NOUSER, EX_TEMPFAIL; what has no code of its own is for the caller to take as EX_TEMPFAIL */
export async function deliverAsMaildrop(given: MaildropArguments): Promise<number> {
  if (given.version) {
    process.stdout.write('mailfilter, which takes filters and options of maildrop 2.9\n');
    return deliveryCodes.ok;
  }
  process.umask(0o007);
  const account = accountOf(given.user);
  actAs(account);
  const filters = given.user === undefined ? [filterFile(given.filter!)] : enterHome(account, given);
  const octets = await readMail(process.stdin, maildropLimits.mailBytesMax);
  return filterMail(octets, account, given, filters);
}

/** The mail as it came, through filters that may be believed. The exit code. */
export async function filterMail(
  mail: Uint8Array,
  account: Account,
  given: MaildropArguments,
  filters: FilterInput['filters'],
  streams?: Streams,
): Promise<number> {
  const octets = withFields(mail, given.fields);
  const sender = given.sender ?? senderOf(octets, account);
  const surroundings = { ...process.env };
  const input: FilterInput = {
    octets,
    filters,
    variables: variablesOf(account, given, sender, filters.at(-1)!.path),
    surroundings,
    sender,
    date: asctime(new Date()),
    embedded: given.embedded,
  };
  const { exitCode } = await carryOutFilter(runMaildrop(input), streams);
  return exitCode;
}

function accountOf(name: string | undefined): Account {
  const caller = callingAccount();
  if (name === undefined || name === '' || name === caller.name) return caller;
  const account = systemAccount(name);
  if (account === undefined)
    throw new DeliveryError(deliveryCodes.noUser, 'Invalid user specified.', '5.1.1');
  return account;
}

/** In delivery mode the user's home is the working directory. */
function enterHome(account: Account, given: MaildropArguments): FilterInput['filters'] {
  process.chdir(account.home);
  const home = statSync('.');
  if ((home.mode & 0o002) !== 0) throw tempFail('Invalid home directory permissions - world writable.');
  if (home.uid !== account.uid) throw tempFail('Home directory owned by wrong user.');
  // With the sticky bit the user holds the mail while the filter is edited.
  if ((home.mode & stickyBit) !== 0) throw tempFail('Home directory has the sticky bit set.');
  if (given.embeddedFilter !== undefined) return [embeddedFilter(given.embeddedFilter)];
  const own = statSync('.mailfilter', { throwIfNoEntry: false });
  if (own !== undefined) believe(own);
  const site = { path: siteFilter, required: false };
  return [site, { path: '.mailfilter', required: own !== undefined }];
}

/** `a-b-c`, then `a-b-c-default`, `a-b-default`, `a-default`, `default`. */
function embeddedFilter(name: string): FilterInput['filters'][number] {
  const folder = statSync('.mailfilters', { throwIfNoEntry: false });
  if (folder !== undefined && ((folder.mode & 0o077) !== 0 || folder.uid !== process.getuid!())) {
    throw tempFail('Invalid permissions on $HOME/.mailfilters - remove world and group perms.');
  }
  const parts = name.split('-');
  const shorter = parts.map((_, index) => `${parts.slice(0, parts.length - index).join('-')}-default`);
  for (const each of [name, ...shorter, 'default']) {
    const path = join('.mailfilters', each);
    const file = statSync(path, { throwIfNoEntry: false });
    if (file === undefined) continue;
    believe(file);
    return { path, required: true };
  }
  return { path: join('.mailfilters', name), required: false };
}

function filterFile(path: string): FilterInput['filters'][number] {
  const file = statSync(path, { throwIfNoEntry: false });
  if (file === undefined) throw tempFail(`Unable to open filter file ${path}.`);
  believe(file);
  return { path, required: true };
}

/** Others may have written it, or may read what it knows. */
function believe(file: Stats): void {
  if (!file.isFile()) throw tempFail("mailfilter file isn't a regular file.");
  if ((file.mode & 0o077) !== 0) throw tempFail('Cannot have world/group permissions on the filter file.');
  if (file.uid !== process.getuid!()) throw tempFail('mailfilter file is owned by the wrong user.');
}

function tempFail(message: string): DeliveryError {
  return new DeliveryError(deliveryCodes.tempFail, message, '4.3.0');
}

function withFields(octets: Uint8Array, fields: readonly string[]): Uint8Array {
  if (fields.length === 0) return octets;
  return Buffer.concat([Buffer.from(fields.map((field) => `${field}\n`).join('')), octets]);
}

/** Root is believed where the mail says who sent it; others are the senders of what they have filtered. */
function senderOf(octets: Uint8Array, { name }: Account): string {
  if (process.getuid!() !== 0) return name;
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
  const end = text.indexOf('\n\n');
  const header = text.toString('latin1', 0, end < 0 ? undefined : end + 1);
  const sender = /^Return-Path:[ \t]*<?([^>\s]*)/im.exec(header)?.[1] ?? 'MAILER-DAEMON';
  return sender || name;
}

/** Everything maildrop sets before the first statement. */
function variablesOf(
  account: Account,
  given: MaildropArguments,
  sender: string,
  filter: string,
): Record<string, string> {
  const mailbox = mailPlace(account);
  const positional = Object.fromEntries(given.positional.map((value, index) => [String(index + 1), value]));
  return {
    ...inherited(given.user !== undefined),
    ...positional,
    ...{ LOCKEXT: '.lock', LOCKSLEEP: '5', LOCKTIMEOUT: '60', LOCKREFRESH: '15', MAILDIRQUOTA: '' },
    PATH: '/bin:/usr/bin:/usr/local/bin',
    SENDMAIL: '/usr/sbin/sendmail -oi',
    ...{ HOME: account.home, LOGNAME: account.name, SHELL: account.shell, DEFAULT: mailbox.path },
    UMASK: '077',
    FROM: sender,
    HOSTNAME: hostname(),
    MAILFILTER: given.embeddedFilter ?? filter,
  };
}

/** In delivery mode only what tells of the language: the rest may be anybody's. */
function inherited(isDelivery: boolean): Record<string, string> {
  const entries = Object.entries(process.env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && (!isDelivery || /^(?:LANG|LANGUAGE|LC_.*)$/.test(entry[0])),
  );
  return Object.fromEntries(entries);
}
