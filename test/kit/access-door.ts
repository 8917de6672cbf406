/** A door of the access role on a loopback port: any protocol, users alice and bob, an mta that only writes down what it is asked. */
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { systemClock } from '../../core/base/clock.ts';
import { defaultLimits, type Limits } from '../../core/base/limits/settings.ts';
import type { LogFacts } from '../../core/base/log.ts';
import type { Config, ListenerConfig } from '../../core/config/config.ts';
import { ipMatcher } from '../../core/net/ip.ts';
import { TlsContexts } from '../../core/net/tls.ts';
import { type AccessDoor, createAccessDoor } from '../../src/access/door.ts';
import { Logins } from '../../src/access/login.ts';
import type { AccessHouse, Protocol } from '../../src/access/protocol.ts';
import type { MovedMessage, MtaCalls, SubmittedMail } from '../../src/calls/mta-calls.ts';
import type { Mailboxes } from '../../src/mailbox/mailbox.ts';
import { openMailboxes } from '../../src/mailbox/open-mailboxes.ts';
import { ConnectionCount } from '../../src/sockets/connection-count.ts';
import type { User, Users } from '../../src/users/users.ts';
import { certificate, memoryLog } from './door.ts';

export interface AccessDoorInit {
  readonly protocol: Protocol;
  readonly listener?: Partial<ListenerConfig>;
  readonly limits?: Partial<Limits>;
  readonly config?: Partial<Config>;
  readonly authFailureDelayMs?: number;
  /** Where the mailboxes lie, one by the address of each user. */
  readonly mailRoot?: string;
  readonly mailFormat?: 'maildir' | 'mbox';
  /** Instead of alice and bob. */
  readonly users?: Users;
}

export interface TestAccessDoor {
  readonly door: AccessDoor;
  readonly port: number;
  readonly house: AccessHouse;
  readonly connections: ConnectionCount;
  readonly logged: { readonly event: string; readonly facts: LogFacts }[];
  readonly submitted: SubmittedMail[];
  readonly moved: MovedMessage[];
}

/** Closed when the test ends. */
export async function openAccessDoor(
  t: Pick<TestContext, 'after'>,
  init: AccessDoorInit,
): Promise<TestAccessDoor> {
  const listener: ListenerConfig = {
    name: 'test',
    protocol: 'managesieve',
    address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    tls: 'none',
    auth: true,
    authWithoutTls: true,
    earlyTalkerDelayMs: 0,
    ...{ futureReleaseSecondsMax: 0, deliverBy: false, priorities: false },
    ...init.listener,
  };
  const limits: Limits = { ...defaultLimits, ...init.limits };
  const config = {
    hostname: 'mx.example.test',
    trustedNetworks: [],
    proxyFrom: [],
    listeners: [listener],
    pipelines: {},
    ...init.config,
    limits,
  } as Partial<Config> as Config;
  const { log, logged } = memoryLog();
  const tls =
    listener.tls === 'none' ? undefined : new TlsContexts({ ...certificate(), minVersion: 'TLSv1.2' });
  const connections = new ConnectionCount(limits, ipMatcher(config.trustedNetworks));
  const users = init.users ?? twoUsers();
  const { authFailureDelayMs = 1 } = init;
  const logins = new Logins({ users, config, log, clock: systemClock, authFailureDelayMs });
  const submitted: SubmittedMail[] = [];
  const moved: MovedMessage[] = [];
  const mailboxes = new Map<string, Mailboxes>();
  const openAccount = ({ address, quotaBytes }: User) => {
    const root = init.mailRoot;
    if (root === undefined) throw new Error('this test has no mailboxes');
    const opened = mailboxes.get(root) ?? openMailboxes({ log, indexDirectory: join(root, 'index') });
    mailboxes.set(root, opened);
    const format = init.mailFormat ?? 'maildir';
    return opened.openAccount({ user: address, format, path: join(root, address), quotaBytes });
  };
  const house: AccessHouse = {
    config: () => config,
    users,
    logins,
    tls,
    openAccount,
    mta: writtenDown(submitted, moved),
    log,
    clock: systemClock,
  };
  const { protocol } = init;
  const door = await createAccessDoor({
    listener,
    config,
    protocol,
    log,
    tls,
    connections,
    house: Promise.resolve(house),
  });
  t.after(async () => {
    await door.close(0);
    for (const opened of mailboxes.values()) await opened.close();
  });
  const port = door.address.kind === 'tcp' ? door.address.port : 0;
  return { door, port, house, connections, logged, submitted, moved };
}

/** Passwords that need no hash: `alice@example.test` has `secret`, `bob@example.test` has `other`. */
export function twoUsers(): Users {
  const passwords: Readonly<Record<string, string>> = {
    'alice@example.test': 'secret',
    'bob@example.test': 'other',
  };
  const all = Object.keys(passwords).map(
    (address): User => ({ address, aliases: [], forward: [], quotaBytes: 0, disabled: false }),
  );
  return {
    find: (address) => {
      const user = all.find((each) => each.address === address.toLowerCase());
      return user && { user, detail: '' };
    },
    owns: (user, address) => user.address === address.toLowerCase(),
    authenticate: async (address, password) =>
      all.find((each) => each.address === address.toLowerCase() && passwords[each.address] === password),
    list: () => all,
    close: () => {},
  };
}

function writtenDown(submitted: SubmittedMail[], moved: MovedMessage[]): MtaCalls {
  return {
    submit: async (mail) => void submitted.push(mail),
    queue: async ({ ids }) => ids,
    moved: async (message) => {
      moved.push(message);
      return [];
    },
    state: () => {
      throw new Error('this test has no state');
    },
  };
}
