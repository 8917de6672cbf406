/** Changes users.json: under a lock, written to a temporary file, synced, renamed; checked before and after. */
import { constants } from 'node:fs';
import { type FileHandle, open, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { tryLock, unlock } from 'fs-native-extensions';
import { OperationalError } from '../../core/base/errors.ts';
import { canonicalAddress, parseUsersFile, type UserRecord, type UsersFile } from './format.ts';
import { hashPassword } from './password.ts';
import { readUsersText } from './read-file.ts';
import { makeScramKeys } from './scram.ts';

/** How long to wait for another who changes the file. */
const lockWaitMs = 10_000;

export type NewUser = Omit<UserRecord, 'password' | 'scram'>;

/** Makes the file when it is missing. Rejects with OperationalError `user-exists`, `users-file-invalid`, `password-unfit`. */
export async function addUser(
  file: string,
  address: string,
  password: string,
  rest: NewUser = {},
): Promise<void> {
  const [hash, scram] = await Promise.all([hashPassword(password), makeScramKeys(password)]);
  await change(file, (users) => {
    if (keyOf(users, address) !== undefined) {
      throw new OperationalError('user-exists', `${address} exists already in ${file}`, { temporary: false });
    }
    users.users[canonicalAddress(address)] = { password: hash, scram, ...rest };
  });
}

/** Rejects with OperationalError `user-unknown` when there is no such user. */
export async function setPassword(file: string, address: string, password: string): Promise<void> {
  const [hash, scram] = await Promise.all([hashPassword(password), makeScramKeys(password)]);
  await change(file, (users) => {
    Object.assign(users.users[knownKey(users, address, file)]!, { password: hash, scram });
  });
}

/** Removes the user, not the mail. Rejects with OperationalError `user-unknown` when there is no such user. */
export async function removeUser(file: string, address: string): Promise<void> {
  await change(file, (users) => {
    delete users.users[knownKey(users, address, file)];
  });
}

function keyOf(users: UsersFile, address: string): string | undefined {
  const wanted = canonicalAddress(address);
  return Object.keys(users.users).find((key) => canonicalAddress(key) === wanted);
}

function knownKey(users: UsersFile, address: string, file: string): string {
  const key = keyOf(users, address);
  if (key !== undefined) return key;
  throw new OperationalError('user-unknown', `${address} is no user in ${file}`, { temporary: false });
}

async function change(file: string, edit: (users: UsersFile) => void): Promise<void> {
  const lock = await takeLock(`${file}.lock`, file);
  try {
    const users = await readOrBegin(file);
    edit(users);
    const text = `${JSON.stringify(users, null, 2)}\n`;
    // What would be refused at the next start must not be written now.
    parseUsersFile(text, file);
    await replace(file, text);
  } finally {
    unlock(lock.fd);
    await lock.close();
  }
}

async function readOrBegin(file: string): Promise<UsersFile> {
  try {
    return parseUsersFile(await readUsersText(file), file);
  } catch (error) {
    if (error instanceof OperationalError && error.code === 'users-file-missing')
      return { version: 1, users: {} };
    throw error;
  }
}

/** The lock file stays; the lock on it ends with its holder, however that ends. */
async function takeLock(path: string, file: string): Promise<FileHandle> {
  const handle = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  for (const until = Date.now() + lockWaitMs; !tryLock(handle.fd); await sleep(25)) {
    if (Date.now() < until) continue;
    await handle.close();
    throw new OperationalError('users-file-locked', `${file} is being changed by another program (${path})`, {
      temporary: true,
    });
  }
  return handle;
}

async function replace(file: string, text: string): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  const before = await stat(file).catch(() => undefined);
  try {
    const handle = await open(temporary, 'w', 0o600);
    try {
      await handle.writeFile(text);
      // The server may run as another user than the one who types: it must still be able to read the file.
      if (before !== undefined) {
        await handle.chmod(before.mode & 0o777);
        if (process.getuid?.() === 0) await handle.chown(before.uid, before.gid);
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
  const folder = await open(dirname(file), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
