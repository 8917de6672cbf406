/** Mail that lies in a user's mailbox, for commands that run rules on it: opened as the server opens it, as the user it runs as. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLog } from '../../core/base/log.ts';
import type { Config } from '../../core/config/config.ts';
import type { Environment } from '../../rules/sieve/index.ts';
import { mailboxPath } from '../mailbox/locate.ts';
import type { Account, Folder } from '../mailbox/mailbox.ts';
import { openMailboxes } from '../mailbox/open-mailboxes.ts';
import { become, systemUser } from '../privileges.ts';
import { ActiveScripts } from '../scripts/active-script.ts';
import { scriptPlace } from '../scripts/place.ts';
import { listUsers } from '../users/file.ts';
import { canonicalAddress } from '../users/format.ts';
import type { User } from '../users/users.ts';
import { CommandError, exitCodes } from './exit-codes.ts';

export interface StoredMail extends AsyncDisposable {
  readonly user: User;
  readonly account: Account;
  /** Names of the folders that are there. */
  readonly folders: readonly string[];
}

export interface StoredMessage {
  readonly uid: number;
  readonly octets: Uint8Array;
  /** Epoch milliseconds. */
  readonly receivedAt: number;
}

const closeMsMax = 5000;

/** @throws CommandError when there is no such user */
export async function openStoredMail(config: Config, address: string): Promise<StoredMail> {
  const user = await findUser(config, address);
  // What root made in a mailbox its owner could not change any more.
  if (process.getuid?.() === 0 && config.user !== undefined) become(systemUser(config.user));
  const mailboxes = openMailboxes({
    log: silentLog,
    indexDirectory: join(config.dataDirectory, 'mailboxes'),
    tombstones: join(config.dataDirectory, 'journal', 'tombstones'),
  });
  const { format, path } = config.mailbox;
  const account = await mailboxes.openAccount({
    user: user.address,
    format,
    path: mailboxPath(path, user.address),
    // Moving needs no room, and what a copy needs is the user's own wish.
    quotaBytes: 0,
  });
  const folders = (await account.list()).filter(({ exists }) => exists).map(({ name }) => name);
  return {
    user,
    account,
    folders,
    async [Symbol.asyncDispose]() {
      account.close();
      // Its threads keep no process alive, and everything that was asked for is on disk: they are not waited for long.
      const waited = new AbortController();
      const late = sleep(closeMsMax, undefined, waited).catch(() => {});
      await Promise.race([mailboxes.close(), late]);
      waited.abort();
    },
  };
}

/** @throws CommandError when it is not there */
export async function openStoredFolder({ account, folders }: StoredMail, name: string): Promise<Folder> {
  const found = folders.find((each) => each === name || each.toUpperCase() === name.toUpperCase());
  if (found === undefined) {
    throw new CommandError(
      exitCodes.noInput,
      `there is no folder "${name}"`,
      `There are: ${folders.join(', ')}`,
    );
  }
  return account.openFolder(found, { readOnly: false });
}

/** The last messages of a folder, the oldest of them first. */
export async function* storedMessages(folder: Folder, lastCount: number): AsyncGenerator<StoredMessage> {
  const { uids } = await folder.refresh();
  const wanted = uids.slice(Math.max(0, uids.length - lastCount));
  const dated = await folder.ensure(wanted, ['internalDate']);
  for await (const { uid, octets } of folder.messages(wanted, 'all')) {
    const receivedAt = dated.data.columns.internalDate[dated.indexOf(uid)] ?? Number.NaN;
    yield { uid, octets, receivedAt: Number.isNaN(receivedAt) ? Date.now() : receivedAt };
  }
}

/** As if the message came at the time it came; nobody has been answered, nothing has been seen before. */
export function storedEnvironment(
  { user, folders }: StoredMail,
  { octets, receivedAt }: StoredMessage,
  config: Config,
): Environment {
  const header = headerOf(octets);
  const names = new Set(folders);
  const scripts = new ActiveScripts();
  const place = scriptPlace(config.mailbox.sieve, user.address);
  return {
    now: receivedAt,
    zoneMinutes: (epochMs) => -new Date(epochMs).getTimezoneOffset(),
    envelope: {
      from: /^return-path:[ \t]*<([^<>]*)>/im.exec(header)?.[1] ?? '',
      to: /^delivered-to:[ \t]*(\S+@\S+)/im.exec(header)?.[1] ?? user.address,
    },
    settings: {
      userAddress: user.address,
      userAddresses: [user.address, ...user.aliases],
      hostname: config.hostname,
    },
    mailboxExists: (name) => name.toUpperCase() === 'INBOX' || names.has(name),
    script: async ({ location, name }) =>
      location === 'global' ? undefined : (await scripts.loadNamed(place, name))?.source,
  };
}

/** A field of the message as it stands there, for people to know it by. */
export function fieldOf(octets: Uint8Array, name: string): string {
  const found = new RegExp(`^${name}:[ \\t]*(.*(?:\\r\\n[ \\t].*)*)`, 'im').exec(headerOf(octets))?.[1] ?? '';
  return found.replace(/\r\n[ \t]+/g, ' ').trim();
}

/** The script that mail for the user meets now. */
export function activeScriptOf(config: Config, { user }: StoredMail) {
  return new ActiveScripts().load(scriptPlace(config.mailbox.sieve, user.address));
}

function headerOf(octets: Uint8Array): string {
  const bytes = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
  const end = bytes.indexOf('\r\n\r\n');
  return bytes.subarray(0, end === -1 ? bytes.length : end + 2).toString('utf8');
}

async function findUser({ users }: Config, address: string): Promise<User> {
  const all = users === undefined ? [] : await listUsers(users.file);
  const wanted = canonicalAddress(address);
  const found = all.find((user) => user.address === wanted || user.aliases.includes(wanted));
  if (found) return found;
  throw new CommandError(exitCodes.noUser, `there is no user ${address}`, 'See: mailfilter user list');
}
