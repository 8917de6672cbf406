/** One client of POP3: its login, and the messages of the INBOX as they were then. RFC 1939 sections 4 to 6. */
import { randomBytes } from 'node:crypto';
import { describeError, OperationalError } from '../../../core/base/errors.ts';
import { pop3Limits } from '../../../core/base/limits/access.ts';
import type { ListenerConfig } from '../../../core/config/config.ts';
import { seenBit } from '../../mailbox/flags.ts';
import type { Account } from '../../mailbox/mailbox.ts';
import type { User } from '../../users/users.ts';
import type { Login, LoginOutcome, LoginRefusal } from '../login.ts';
import type { AccessHouse } from '../protocol.ts';
import type { Wire } from '../wire.ts';
import { Maildrop } from './maildrop.ts';
import { Pop3Refusal } from './refusal.ts';

const refusalCodes: Readonly<Record<LoginRefusal, Pop3Refusal['code']>> = {
  credentials: 'AUTH',
  cancelled: undefined,
  malformed: undefined,
  mechanism: undefined,
  // RFC 3206 section 4: not the password is wrong.
  encryption: 'SYS/PERM',
  unavailable: 'SYS/TEMP',
};

export class Pop3Session {
  readonly wire: Wire;
  readonly house: AccessHouse;
  readonly listener: ListenerConfig;
  readonly login: Login;
  /** Of USER, until PASS. */
  name: string | undefined;
  /** `<process.clock@hostname>` of the greeting, where APOP is offered. RFC 1939 section 7. */
  readonly timestamp: string | undefined;
  isOver = false;
  #maildrop: Maildrop | undefined;
  #account: Account | undefined;
  #unlock: (() => void) | undefined;

  constructor(wire: Wire, house: AccessHouse, listener: ListenerConfig) {
    this.wire = wire;
    this.house = house;
    this.listener = listener;
    this.login = house.logins.begin(wire, listener);
    const { offersApop } = this.login;
    this.timestamp = offersApop
      ? `<${randomBytes(16).toString('hex')}@${house.config().hostname}>`
      : undefined;
  }

  get isLoggedIn(): boolean {
    return this.#maildrop !== undefined;
  }

  get maildrop(): Maildrop {
    if (!this.#maildrop) throw new Pop3Refusal('log in first');
    return this.#maildrop;
  }

  ok(text: string): void {
    this.wire.write(`+OK ${text}\r\n`);
  }

  /** What a login comes to: the maildrop is locked and open, or the refusal is told. @throws Pop3Refusal */
  async entered(outcome: LoginOutcome): Promise<void> {
    if (outcome.kind === 'refused') {
      this.isOver = outcome.last;
      throw new Pop3Refusal(outcome.text, refusalCodes[outcome.reason]);
    }
    try {
      await this.#open(outcome.user);
    } catch (error) {
      this.close();
      if (!(error instanceof OperationalError)) throw error;
      this.house.log.warn('mailbox-unavailable', { user: outcome.user.address, error: error.message });
      throw new Pop3Refusal('the mailbox cannot be opened now', 'SYS/TEMP');
    }
    // RFC 1939 section 3: ten minutes at least.
    this.wire.idleTimeoutMs = pop3Limits.idleTimeoutMs;
    this.ok(`${this.maildrop.count} messages`);
  }

  /** What DELE marked goes; what was read is `\Seen`. @throws MailboxError: then nothing more is promised */
  async update(): Promise<void> {
    const { folder, deleted, read } = this.maildrop;
    const { snapshot } = folder;
    const unseen = [...read].filter((uid) => {
      const index = snapshot.indexOf(uid);
      return index >= 0 && !deleted.has(uid) && !(snapshot.flagBits(index) & seenBit);
    });
    if (deleted.size > 0) await folder.remove([...deleted].sort((a, b) => a - b));
    if (unseen.length === 0) return;
    await folder
      .store(
        unseen.sort((a, b) => a - b),
        { how: 'add', flags: ['\\Seen'] },
      )
      .catch((error) => {
        // A flag is no promise of POP3's.
        this.house.log.info('pop3-flags-failed', { id: this.wire.peer.id, error: describeError(error) });
      });
  }

  close(): void {
    this.#maildrop?.close();
    this.#maildrop = undefined;
    this.#unlock?.();
    this.#unlock = undefined;
    this.#account?.close();
    this.#account = undefined;
  }

  async #open(user: User): Promise<void> {
    this.#account = await this.house.openAccount(user);
    this.#unlock = await this.#account.lockForPop3();
    // RFC 1939 section 4: one session at a time.
    if (!this.#unlock) throw new Pop3Refusal('another session has the mailbox', 'IN-USE');
    this.#maildrop = await Maildrop.open(this.#account);
  }
}
