/** Few password checks at once, the others in a short line; right answers are remembered for a while. */
import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '../../core/base/clock.ts';
import { OperationalError } from '../../core/base/errors.ts';
import {
  passwordChecksAtOnce,
  passwordChecksWaitingMax,
  passwordChecksWaitingPerClientMax,
  passwordMemoryEntriesMax,
  passwordMemoryMs,
} from '../../core/base/limits/users.ts';
import { verifyPassword } from './password.ts';

/**
 * Hashing shares the thread pool with fdatasync, so that at most two hashes are worked out at once (and a flood of
 * logins waits, or is told to come back). Only right answers are remembered, never the password: the key is an HMAC
 * over hash and password under a key that this process drew at random and never tells; a changed hash is another key.
 */
export class PasswordChecks {
  readonly #clock: Clock;
  readonly #key = randomBytes(32);
  /** HMAC to the time at which it is forgotten, oldest first. */
  readonly #right = new Map<string, number>();
  readonly #line: { readonly client: string | undefined; readonly enter: () => void }[] = [];
  #running = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Rejects with OperationalError `password-checks-busy` (temporary) when too many wait already.
   * @param client who asks, so that one client cannot fill the line; undefined where many share one address
   */
  async check(password: string, hash: string, client?: string): Promise<boolean> {
    const fingerprint = createHmac('sha256', this.#key).update(`${hash}\0${password}`).digest('base64');
    if ((this.#right.get(fingerprint) ?? 0) > this.#clock.monotonicMs()) return true;
    await this.#enter(client);
    try {
      const right = await verifyPassword(password, hash);
      if (right) this.#remember(fingerprint);
      return right;
    } finally {
      this.#leave();
    }
  }

  #enter(client: string | undefined): Promise<void> {
    if (this.#running < passwordChecksAtOnce) {
      this.#running++;
      return Promise.resolve();
    }
    const own = client === undefined ? 0 : this.#line.filter((each) => each.client === client).length;
    if (this.#line.length >= passwordChecksWaitingMax || own >= passwordChecksWaitingPerClientMax) {
      throw new OperationalError('password-checks-busy', `${this.#line.length} password checks are waiting`, {
        temporary: true,
        clientText: 'too many logins at once, try again later',
      });
    }
    return new Promise((enter) => this.#line.push({ client, enter }));
  }

  /** The place is handed to the next in line, or given back. */
  #leave(): void {
    const next = this.#line.shift();
    if (next === undefined) this.#running--;
    else next.enter();
  }

  #remember(fingerprint: string): void {
    this.#right.delete(fingerprint);
    if (this.#right.size >= passwordMemoryEntriesMax) {
      const oldest = this.#right.keys().next().value;
      if (oldest !== undefined) this.#right.delete(oldest);
    }
    this.#right.set(fingerprint, this.#clock.monotonicMs() + passwordMemoryMs);
  }
}
