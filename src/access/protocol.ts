/** What a protocol of the access role is, and what it is given of the house. */
import type { Clock } from '../../core/base/clock.ts';
import type { Log } from '../../core/base/log.ts';
import type { Config, ListenerConfig } from '../../core/config/config.ts';
import type { TlsContexts } from '../../core/net/tls.ts';
import type { MtaCalls } from '../calls/mta-calls.ts';
import type { Account } from '../mailbox/mailbox.ts';
import type { User, Users } from '../users/users.ts';
import type { EndReason } from './input.ts';
import type { Logins } from './login.ts';
import type { Wire } from './wire.ts';

export interface Protocol {
  /** One client from greeting to goodbye. @throws ConnectionEnded, and whatever is a bug */
  serve(wire: Wire, house: AccessHouse, listener: ListenerConfig): Promise<void>;
  /** The last words to a client that we end, line end included. */
  farewell(reason: EndReason | 'too-many' | 'bug'): string;
}

export interface AccessHouse {
  /** As it is now: ask anew after a reload may have come. */
  readonly config: () => Config;
  /** Undefined where no users file is configured: then nobody can log in. */
  readonly users: Users | undefined;
  readonly logins: Logins;
  /** Undefined where no certificate is configured. */
  readonly tls: TlsContexts | undefined;
  /** A user's mail; to be closed. @throws MailboxError, OperationalError `mailbox-path` */
  openAccount(user: User): Promise<Account>;
  /** State, mail to send, moves: what only the mta may do. */
  readonly mta: MtaCalls;
  readonly log: Log;
  readonly clock: Clock;
}
