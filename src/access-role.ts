/** The access role: IMAP, POP3 and ManageSieve listeners live here, in one process or several. */
import { join } from 'node:path';
import { systemClock as clock } from '../core/base/clock.ts';
import { drainLimits } from '../core/base/limits/process.ts';
import { createLog, type RootLog } from '../core/base/log.ts';
import type { Config, ListenerConfig } from '../core/config/config.ts';
import { loadConfig } from '../core/config/load.ts';
import { ipMatcher } from '../core/net/ip.ts';
import { TlsContexts } from '../core/net/tls.ts';
import { type AccessDoor, type AccessDoorOptions, createAccessDoor } from './access/door.ts';
import { Logins } from './access/login.ts';
import type { AccessHouse } from './access/protocol.ts';
import { protocols } from './access/protocols.ts';
import { connectCalls, type MtaConnection } from './calls/connect.ts';
import { removePidFile, runDirectory, writePidFile } from './data-directory.ts';
import { describeListener, listenerFacts, onSignals } from './life.ts';
import { mailboxPath } from './mailbox/locate.ts';
import type { Mailboxes } from './mailbox/mailbox.ts';
import { openMailboxes } from './mailbox/open-mailboxes.ts';
import { become, systemUser, userToBecome } from './privileges.ts';
import { assertReloadable } from './restart-needed.ts';
import { ConnectionCount } from './sockets/connection-count.ts';
import type { RoleMessage } from './supervisor.ts';
import { openUsers, type WatchedUsers } from './users/file.ts';
import type { User } from './users/users.ts';

/**
 * Resolves once it serves; ends the process itself after a drain.
 * @param index of this process among those of the role, from 0
 */
export async function runAccess(
  configFile: string,
  index: number,
  tell: (message: RoleMessage) => void,
): Promise<void> {
  const config = loadConfig(configFile);
  const user = userToBecome(config);
  const log = createLog({ ...config.log, ...(user && { owner: user }) });
  const tls = config.tls ? new TlsContexts(config.tls) : undefined;
  const connections = new ConnectionCount(config.limits, ipMatcher(config.trustedNetworks));
  // Sockets are bound and keys read first, for that may need root; who connects already waits for its greeting.
  const furnished = Promise.withResolvers<AccessHouse>();
  furnished.promise.catch(() => {});
  const shared = { config, log, tls, connections, house: furnished.promise };
  const doors = await openDoors(shared, index);
  let house: House;
  let current = config;
  try {
    if (user) become(user);
    house = await furnish(config, () => current, tls, log);
  } catch (error) {
    furnished.reject(error);
    await closeDoors(doors, 0);
    throw error;
  }
  furnished.resolve(house);
  const pidName = index === 0 ? 'access' : `access-${index}`;
  writePidFile(config.dataDirectory, pidName);
  const standby = setInterval(() => {}, 2 ** 30);
  onSignals({
    log,
    reload: async () => {
      const next = loadConfig(configFile);
      assertReloadable(config, next);
      if (next.tls) new TlsContexts(next.tls);
      await house.users?.reload();
      tls?.reload(next.tls);
      current = next;
      connections.reconfigure(next.limits);
      house.logins.reconfigure(next);
      for (const { door } of doors) door.reconfigure(next);
      log.setLevel(next.log.level);
    },
    reloaded: () => {},
    drain: async () => {
      clearInterval(standby);
      await closeDoors(doors, drainLimits.sessionsMs);
      await house.mailboxes.close();
      house.mta.close();
      house.users?.close();
      removePidFile(config.dataDirectory, pidName);
    },
  });
  // All processes of the role serve the same listeners: the first tells of them.
  const open = index > 0 ? [] : doors.map(({ listener, door }) => ({ listener, address: door.address }));
  const lines = open.map(describeListener);
  log.info('ready', { role: 'access', listeners: lines });
  tell({ ready: true, lines, listeners: open.map(listenerFacts) });
}

type House = AccessHouse & {
  readonly users: WatchedUsers | undefined;
  readonly mta: MtaConnection;
  readonly mailboxes: Mailboxes;
};

async function furnish(
  config: Config,
  current: () => Config,
  tls: TlsContexts | undefined,
  log: RootLog,
): Promise<House> {
  const separator = config.mailbox.subaddressSeparator;
  const users = config.users && (await openUsers({ ...config.users, separator, log, clock }));
  const mta = connectCalls(runDirectory(config.dataDirectory));
  const logins = new Logins({ users, config, log, clock });
  const mailboxes = openMailboxes({
    log,
    indexDirectory: join(config.dataDirectory, 'mailboxes'),
    tombstones: join(config.dataDirectory, 'journal', 'tombstones'),
  });
  const openAccount = ({ address, quotaBytes }: User) => {
    const { format, path, quotaBytes: defaultQuota } = current().mailbox;
    return mailboxes.openAccount({
      user: address,
      format,
      path: mailboxPath(path, address),
      quotaBytes: quotaBytes || defaultQuota,
    });
  };
  return { config: current, users, logins, tls, mailboxes, openAccount, mta, log, clock };
}

interface OpenDoor {
  readonly listener: ListenerConfig;
  readonly door: AccessDoor;
}

/** All listeners of the role, or none and an error. */
async function openDoors(
  shared: Omit<AccessDoorOptions, 'listener' | 'protocol'>,
  index: number,
): Promise<OpenDoor[]> {
  const { config } = shared;
  const reusePort = config.processes.access > 1;
  const doors: OpenDoor[] = [];
  try {
    for (const listener of config.listeners) {
      const protocol = protocols[listener.protocol];
      if (protocol === undefined || (index > 0 && !isShareable(listener))) continue;
      const { address } = listener;
      const owner = address.kind === 'unix' && address.owner ? systemUser(address.owner) : undefined;
      doors.push({
        listener,
        door: await createAccessDoor({ ...shared, listener, protocol, owner, reusePort }),
      });
    }
  } catch (error) {
    await closeDoors(doors, 0);
    throw error;
  }
  return doors;
}

/** Several processes share a TCP port that is known; a path, or a port that the kernel chooses, has one owner. */
function isShareable({ address }: ListenerConfig): boolean {
  return address.kind === 'tcp' && address.port !== 0;
}

async function closeDoors(doors: readonly OpenDoor[], drainMs: number): Promise<void> {
  await Promise.all(doors.map(({ door }) => door.close(drainMs)));
}
