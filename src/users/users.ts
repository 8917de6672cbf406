/** Who has a mailbox here, and who may log in. */

import type { ScramHash } from '../../core/net/scram.ts';
import type { ScramCandidate } from './scram.ts';

export interface User {
  /** Canonical address: `local@domain`, lower case. */
  readonly address: string;
  readonly aliases: readonly string[];
  readonly forward: readonly string[];
  /** 0 means the mailbox default. */
  readonly quotaBytes: number;
  readonly disabled: boolean;
}

export interface Users {
  /** By address or alias, a subaddress detail taken off: undefined when nobody. */
  find(address: string): { user: User; detail: string } | undefined;
  /** True for the user's own addresses: address, aliases, and their subaddresses. */
  owns(user: User, address: string): boolean;
  /**
   * Undefined when the address or password is wrong or the user disabled; takes the same time for all.
   * @param client the key of the client's network, which may not keep all others waiting; absent where many share it
   */
  authenticate(address: string, password: string, client?: string): Promise<User | undefined>;
  /** Absent where no keys are kept. */
  readonly scram?: {
    /** Those that every user with a password can use. */
    hashes(): readonly ScramHash[];
    candidate(address: string, hash: ScramHash): ScramCandidate;
  };
  /** Absent where no secrets for it are kept. */
  readonly apop?: {
    /** True when a user has one. */
    isOffered(): boolean;
    /** @param digest of the greeting's timestamp and the secret, lower-case hex. RFC 1939 section 7 */
    authenticate(address: string, timestamp: string, digest: string): User | undefined;
  };
  list(): User[];
  close(): void;
}
