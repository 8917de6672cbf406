/** Users from users.json: read, watched, and changed under a lock, so that a half-written file is never seen. */
import { createHmac, randomBytes } from 'node:crypto';
import { watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import { type Clock, systemClock } from '../../core/base/clock.ts';
import { describeError } from '../../core/base/errors.ts';
import type { Log } from '../../core/base/log.ts';
import type { ScramHash, ScramKeys } from '../../core/net/scram.ts';
import { isApopDigest } from './apop.ts';
import { UserDirectory } from './directory.ts';
import { knownUsers, parseUsersFile } from './format.ts';
import { hashPassword } from './password.ts';
import { PasswordChecks } from './password-checks.ts';
import { readUsersText } from './read-file.ts';
import { standInKeys } from './scram.ts';
import type { User, Users } from './users.ts';

export { addUser, removeUser, setPassword } from './edit-file.ts';

/** Editors and copies write in several steps; wait until they are through. */
const settleMs = 150;

export interface OpenUsersInit {
  /** Absolute path of users.json. */
  readonly file: string;
  /** Between user and detail; '' turns subaddresses off. */
  readonly separator: string;
  readonly log: Log;
  readonly clock?: Clock;
}

export interface WatchedUsers extends Users {
  /** Reads the file again now. Rejects with an OperationalError, keeping what was read before, when it is not valid. */
  reload(): Promise<void>;
}

/** Reads the file and follows its changes; a change that is not valid is logged and what was read before stays. */
export async function openUsers(init: OpenUsersInit): Promise<WatchedUsers> {
  const users = new FileUsers(init);
  const stop = watchFile(init, () => users.followChange());
  try {
    await users.reload();
  } catch (error) {
    stop();
    throw error;
  }
  users.onClose = stop;
  return users;
}

/** The users of a file, without watching it. Throws OperationalError `users-file-missing` or `users-file-invalid`. */
export async function listUsers(file: string): Promise<User[]> {
  return knownUsers(parseUsersFile(await readUsersText(file), file)).map(({ user }) => user);
}

class FileUsers implements WatchedUsers {
  readonly #init: OpenUsersInit;
  readonly #checks: PasswordChecks;
  /** Chooses, the same way each time, whose hash a login for nobody is checked against. */
  readonly #standInKey = randomBytes(32);
  #directory: UserDirectory;
  #standIns: readonly string[] = [];
  #text: string | undefined;
  onClose: () => void = () => {};

  constructor(init: OpenUsersInit) {
    this.#init = init;
    this.#checks = new PasswordChecks(init.clock ?? systemClock);
    this.#directory = new UserDirectory([], init.separator);
  }

  find(address: string): { user: User; detail: string } | undefined {
    return this.#directory.find(address);
  }

  owns(user: User, address: string): boolean {
    const found = this.find(address)?.user;
    return found !== undefined && !found.disabled && found.address === user.address;
  }

  async authenticate(address: string, password: string, client?: string): Promise<User | undefined> {
    const known = this.#directory.login(address);
    // Nobody, and a user without a password, cost what a real check costs: time must not tell who exists.
    const hash = known === undefined || known.hash === '' ? this.#standIn(address) : known.hash;
    const right = await this.#checks.check(password, hash, client);
    if (!right || known === undefined || known.hash === '' || known.user.disabled) return undefined;
    // The file may have changed while the hash was worked out: what it says now decides.
    const now = this.#directory.login(address);
    return now?.hash === known.hash && !now.user.disabled ? now.user : undefined;
  }

  readonly scram: NonNullable<Users['scram']> = {
    hashes: () => this.#directory.scramHashes(),
    candidate: (address, hash) => {
      const keys = this.#scramKeys(address, hash);
      return {
        keys: keys ?? standInKeys(this.#standInKey, address, hash),
        // The file may have changed since: what it says now decides.
        confirm: () => {
          const now = this.#directory.login(address);
          const same = keys !== undefined && this.#scramKeys(address, hash)?.storedKey.equals(keys.storedKey);
          return same && !now?.user.disabled ? now?.user : undefined;
        },
      };
    },
  };

  readonly apop: NonNullable<Users['apop']> = {
    isOffered: () => this.#directory.hasApop(),
    authenticate: (address, timestamp, digest) => {
      const known = this.#directory.login(address);
      // Worked out for nobody, too: time must not tell who exists.
      const isRight = isApopDigest(digest, timestamp, known?.apop ?? this.#standInKey.toString('hex'));
      return isRight && known?.apop !== undefined && !known.user.disabled ? known.user : undefined;
    },
  };

  #scramKeys(address: string, hash: ScramHash): ScramKeys | undefined {
    return this.#directory.login(address)?.scram.find((each) => each.hash === hash)?.keys;
  }

  list(): User[] {
    return this.#directory.list();
  }

  async reload(): Promise<void> {
    const text = await readUsersText(this.#init.file);
    if (text === this.#text) return;
    const directory = new UserDirectory(
      knownUsers(parseUsersFile(text, this.#init.file)),
      this.#init.separator,
    );
    const hashes = directory.hashes();
    if (hashes.length === 0) hashes.push(await hashPassword(randomBytes(16).toString('hex')));
    this.#directory = directory;
    this.#standIns = hashes;
    this.#text = text;
  }

  async followChange(): Promise<void> {
    const { file, log } = this.#init;
    try {
      const before = this.#text;
      await this.reload();
      if (this.#text !== before) log.info('users-reloaded', { file, users: this.#directory.list().length });
    } catch (error) {
      log.error('users-reload-failed', { file, error: describeError(error), kept: 'the users read before' });
    }
  }

  close(): void {
    this.onClose();
  }

  #standIn(address: string): string {
    const number = createHmac('sha256', this.#standInKey)
      .update(address.toLowerCase())
      .digest()
      .readUInt32BE(0);
    return this.#standIns[number % this.#standIns.length]!;
  }
}

/** Watches the folder, not the file: a rename puts another file in its place. */
function watchFile({ file, log }: OpenUsersInit, changed: () => void): () => void {
  let settling: NodeJS.Timeout | undefined;
  const settle = () => {
    clearTimeout(settling);
    settling = setTimeout(changed, settleMs);
  };
  try {
    const watcher = watch(dirname(file), { persistent: false }, (_, name) => {
      if (name === null || name === basename(file)) settle();
    });
    watcher.on('error', (error) => log.warn('users-watch-failed', { file, error: describeError(error) }));
    return () => {
      clearTimeout(settling);
      watcher.close();
    };
  } catch (error) {
    log.warn('users-watch-failed', { file, error: describeError(error) });
    return () => {};
  }
}
