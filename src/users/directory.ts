/** Finds users by address, alias and subaddress among those of one reading of the file. RFC 5233 for the detail. */
import { compareForm } from '../../core/mail/address.ts';
import type { ScramHash } from '../../core/net/scram.ts';
import { canonicalAddress, type KnownUser } from './format.ts';
import { commonScramHashes } from './scram.ts';
import type { User } from './users.ts';

export class UserDirectory {
  readonly #byAddress = new Map<string, KnownUser>();
  readonly #all: readonly KnownUser[];
  readonly #separator: string;
  readonly #scramHashes: readonly ScramHash[];
  readonly #hasApop: boolean;

  /** @param separator between user and detail; '' turns subaddresses off */
  constructor(users: readonly KnownUser[], separator: string) {
    this.#all = users;
    this.#separator = separator;
    this.#scramHashes = commonScramHashes(users);
    this.#hasApop = users.some(({ apop }) => apop !== undefined);
    for (const known of users) {
      for (const address of [known.user.address, ...known.user.aliases]) this.#byAddress.set(address, known);
    }
  }

  /** The longest name that is a user's wins, so that a user `a-b` keeps mail for `a-b-list` from a user `a`. */
  find(address: string): { user: User; detail: string } | undefined {
    const whole = this.login(address);
    if (whole !== undefined) return { user: whole.user, detail: '' };
    if (this.#separator === '') return undefined;
    // The detail keeps its case: it may name a folder.
    const form = compareForm(address).normalize('NFC');
    const at = form.lastIndexOf('@');
    const local = form.slice(0, Math.max(at, 0));
    let cut = local.lastIndexOf(this.#separator);
    while (cut > 0) {
      const known = this.#byAddress.get((local.slice(0, cut) + form.slice(at)).toLowerCase());
      if (known !== undefined) return { user: known.user, detail: local.slice(cut + this.#separator.length) };
      cut = local.lastIndexOf(this.#separator, cut - 1);
    }
    return undefined;
  }

  /** By address or alias alone, without a detail. */
  login(address: string): KnownUser | undefined {
    return this.#byAddress.get(canonicalAddress(address));
  }

  hasApop(): boolean {
    return this.#hasApop;
  }

  scramHashes(): readonly ScramHash[] {
    return this.#scramHashes;
  }

  list(): User[] {
    return this.#all.map(({ user }) => user);
  }

  /** Hashes that a login for nobody can be checked against, to take the time of a real one. */
  hashes(): string[] {
    return this.#all.map(({ hash }) => hash).filter((hash) => hash !== '');
  }
}
