/** The roles' lives: open, listen, give up root, tell the supervisor, reload on SIGHUP, drain on SIGTERM. */
import { describeError } from '../core/base/errors.ts';
import { drainLimits } from '../core/base/limits.ts';
import { createLog, type RootLog } from '../core/base/log.ts';
import type { ListenAddress, ListenerConfig } from '../core/config/config.ts';
import { formatListenAddress } from '../core/config/listen-address.ts';
import { loadConfig } from '../core/config/load.ts';
import { ipMatcher } from '../core/net/ip.ts';
import { TlsContexts } from '../core/net/tls.ts';
import { openDataDirectory, removePidFile, writePidFile, writeRunFile } from './data-directory.ts';
import { createOpenSession } from './flow/open-session.ts';
import { createFilterDoor } from './ingress/filter.ts';
import { createSmtpDoor, type SmtpDoor, type SmtpDoorOptions } from './ingress/smtp.ts';
import { become, systemUser, userToBecome } from './privileges.ts';
import { assertReloadable } from './restart-needed.ts';
import { openRooms, type Rooms } from './rooms.ts';
import { ConnectionCount } from './sockets/connection-count.ts';
import type { RoleMessage } from './supervisor.ts';

type Tell = (message: RoleMessage) => void;

/** The mta role: resolves once it serves; ends the process itself after a drain. */
export async function runMta(configFile: string, tell: Tell): Promise<void> {
  const config = loadConfig(configFile);
  const user = userToBecome(config);
  const log = createLog({ ...config.log, ...(user && { owner: user }) });
  const data = openDataDirectory(config.dataDirectory, user);
  const tls = config.tls ? new TlsContexts(config.tls) : undefined;
  // Sockets are bound and keys read first, for that may need root; who connects already waits for its greeting.
  const ready = Promise.withResolvers<void>();
  ready.promise.catch(() => {});
  let rooms: Rooms;
  const connections = new ConnectionCount(config.limits, ipMatcher(config.trustedNetworks));
  const openSession = createOpenSession(() => rooms.current(), ready.promise);
  const doors = await openDoors({ config, tls, log, connections, openSession });
  try {
    if (user) become(user);
    rooms = await openRooms(config, data, log);
    await rooms.recover();
  } catch (error) {
    ready.reject(error);
    await Promise.all(doors.map(({ door }) => door.close(0)));
    throw error;
  }
  ready.resolve();
  const lines = doors.map(describeDoor);
  writePidFile(config.dataDirectory, 'mta');
  writeRunFile(config.dataDirectory, 'listeners.json', `${JSON.stringify(doors.map(listenerFacts))}\n`);
  onSignals({
    log,
    reload: async () => {
      const next = loadConfig(configFile);
      assertReloadable(config, next);
      // A certificate that cannot be used ends the reload before anything has changed.
      if (next.tls) new TlsContexts(next.tls);
      await rooms.reload(next);
      tls?.reload(next.tls);
      connections.reconfigure(next.limits);
      for (const { door } of doors) door.reconfigure(next);
      log.setLevel(next.log.level);
    },
    reloaded: (error) => writeReloadOutcome(config.dataDirectory, error),
    drain: async () => {
      await Promise.all(doors.map(({ door }) => door.close(drainLimits.sessionsMs)));
      await rooms.close();
      removePidFile(config.dataDirectory, 'mta');
      data.release();
    },
  });
  log.info('ready', { listeners: lines });
  tell({ ready: true, lines });
}

/** The access role: IMAP, POP3, ManageSieve and web listeners live here; without any it only stands by. */
export async function runAccess(configFile: string, tell: Tell): Promise<void> {
  const config = loadConfig(configFile);
  const user = userToBecome(config);
  const log = createLog({ ...config.log, ...(user && { owner: user }) });
  if (user) become(user);
  writePidFile(config.dataDirectory, 'access');
  const standby = setInterval(() => {}, 2 ** 30);
  onSignals({
    log,
    reload: async () => {
      const next = loadConfig(configFile);
      assertReloadable(config, next);
      log.setLevel(next.log.level);
    },
    reloaded: () => {},
    drain: async () => {
      clearInterval(standby);
      removePidFile(config.dataDirectory, 'access');
    },
  });
  tell({ ready: true });
}

interface OpenDoor {
  readonly listener: ListenerConfig;
  readonly door: SmtpDoor;
}

/** All listeners, or none and an error. */
async function openDoors(shared: Omit<SmtpDoorOptions, 'listener'>): Promise<OpenDoor[]> {
  const doors: OpenDoor[] = [];
  try {
    for (const listener of shared.config.listeners) {
      const { address } = listener;
      const owner = address.kind === 'unix' && address.owner ? systemUser(address.owner) : undefined;
      doors.push({ listener, door: await openDoor({ ...shared, listener, owner }) });
    }
  } catch (error) {
    await Promise.all(doors.map(({ door }) => door.close(0)));
    throw error;
  }
  return doors;
}

function openDoor(options: SmtpDoorOptions): Promise<SmtpDoor> {
  return options.listener.next ? createFilterDoor(options) : createSmtpDoor(options);
}

function describeDoor({ listener, door }: OpenDoor): string {
  const tls = { none: '', starttls: ', STARTTLS', implicit: ', TLS' }[listener.tls];
  return `${listener.name}: ${listener.protocol} on ${formatListenAddress(door.address)}${tls}`;
}

/** For tests and tools: where each listener really is, when the config said port 0. */
function listenerFacts({ listener, door: { address } }: OpenDoor) {
  const where: ListenAddress = address;
  return {
    name: listener.name,
    protocol: listener.protocol,
    ...(where.kind === 'tcp' ? where : { path: where.path }),
  };
}

interface Life {
  readonly log: RootLog;
  reload(): Promise<void>;
  /** Hears how a reload ended. */
  reloaded(error: string | undefined): void;
  drain(): Promise<void>;
}

function onSignals({ log, reload, reloaded, drain }: Life): void {
  let busy: Promise<void> = Promise.resolve();
  let draining = false;
  process.on('SIGHUP', () => {
    // One after the other: the last config on disk is the one that holds in the end.
    busy = busy.then(async () => {
      try {
        await reload();
        log.info('reloaded');
        reloaded(undefined);
      } catch (error) {
        log.error('reload-failed', { error: describeError(error) });
        reloaded(describeError(error));
      }
    });
  });
  // The log reopens its file by itself; without any handler Node would open its debugger to this machine.
  process.on('SIGUSR1', () => {});
  const end = () => {
    if (draining) return;
    draining = true;
    log.info('draining');
    setTimeout(() => {
      log.error('drain-late');
      log.close();
      process.exit(70);
    }, drainLimits.wholeMs).unref();
    busy
      .then(drain)
      .catch((error) => {
        log.error('drain-failed', { error: describeError(error) });
        process.exitCode = 70;
      })
      .finally(() => {
        log.info('ended');
        log.close();
        process.exit();
      });
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
}

/** What `mailfilter reload` waits for. */
function writeReloadOutcome(dataDirectory: string, error: string | undefined): void {
  const outcome = { at: Date.now(), ok: error === undefined, error };
  writeRunFile(dataDirectory, 'reload.json', `${JSON.stringify(outcome)}\n`);
}
