/** The mta role: open, listen, give up root, carry out what was promised, tell the supervisor, serve. */
import { drainLimits } from '../core/base/limits/process.ts';
import { createLog } from '../core/base/log.ts';
import { isAccessProtocol, type ListenerConfig } from '../core/config/config.ts';
import { loadConfig } from '../core/config/load.ts';
import { ipMatcher } from '../core/net/ip.ts';
import { TlsContexts } from '../core/net/tls.ts';
import { serveCalls } from './calls/serve.ts';
import {
  openDataDirectory,
  removePidFile,
  runDirectory,
  writePidFile,
  writeRunFile,
} from './data-directory.ts';
import { withDeliverySocket } from './delivery-socket.ts';
import { createOpenSession, createRaisedHooks } from './flow/open-session.ts';
import { createFilterDoor } from './ingress/filter.ts';
import { openMaildrop } from './ingress/maildrop.ts';
import { createMilterDoor, type MilterDoorOptions } from './ingress/milter.ts';
import { createSmtpDoor, type SmtpDoor } from './ingress/smtp.ts';
import { describeListener, listenerFacts, onSignals } from './life.ts';
import { become, systemUser, systemUserName, userToBecome } from './privileges.ts';
import { assertReloadable } from './restart-needed.ts';
import { openRooms, type Rooms } from './rooms.ts';
import { ConnectionCount } from './sockets/connection-count.ts';
import type { RoleMessage } from './supervisor.ts';

type Tell = (message: RoleMessage) => void;

/** The mta role: resolves once it serves; ends the process itself after a drain. */
export async function runMta(configFile: string, tell: Tell): Promise<void> {
  const written = loadConfig(configFile);
  const user = userToBecome(written);
  const config = withDeliverySocket(written, user?.name);
  const log = createLog({ ...config.log, ...(user && { owner: user }) });
  const data = openDataDirectory(config.dataDirectory, user);
  const tls = config.tls ? new TlsContexts(config.tls) : undefined;
  // Sockets are bound and keys read first, for that may need root; who connects already waits for its greeting.
  const ready = Promise.withResolvers<void>();
  ready.promise.catch(() => {});
  let rooms: Rooms;
  const connections = new ConnectionCount(config.limits, ipMatcher(config.trustedNetworks));
  const openSession = createOpenSession(() => rooms.current(), ready.promise);
  const raisedHooks = createRaisedHooks(() => rooms.current(), ready.promise);
  const doors = await openDoors({ config, tls, log, connections, openSession, raisedHooks });
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
  const maildrop = openMaildrop({
    directory: data.path('maildrop'),
    house: () => rooms.current(),
    openSession,
    userName: systemUserName,
    log,
  });
  const endCalls = await serveCalls(runDirectory(config.dataDirectory), rooms.calls, log);
  // The socket of `deliver` is the house's own and not among those that the operator asked for.
  const open = doors
    .filter(({ listener }) => written.listeners.includes(listener))
    .map(({ listener, door }) => ({ listener, address: door.address }));
  const lines = open.map(describeListener);
  writePidFile(config.dataDirectory, 'mta');
  onSignals({
    log,
    reload: async () => {
      const next = withDeliverySocket(loadConfig(configFile), user?.name);
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
      await endCalls();
      await maildrop.close();
      await rooms.close();
      removePidFile(config.dataDirectory, 'mta');
      data.release();
    },
  });
  log.info('ready', { listeners: lines });
  tell({ ready: true, lines, listeners: open.map(listenerFacts) });
}

interface OpenDoor {
  readonly listener: ListenerConfig;
  readonly door: SmtpDoor;
}

/** All listeners, or none and an error. */
async function openDoors(shared: Omit<MilterDoorOptions, 'listener'>): Promise<OpenDoor[]> {
  const doors: OpenDoor[] = [];
  try {
    for (const listener of shared.config.listeners.filter(({ protocol }) => !isAccessProtocol(protocol))) {
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

function openDoor(options: MilterDoorOptions): Promise<SmtpDoor> {
  if (options.listener.protocol === 'milter') return createMilterDoor(options);
  return options.listener.next ? createFilterDoor(options) : createSmtpDoor(options);
}

/** What `mailfilter reload` waits for. */
function writeReloadOutcome(dataDirectory: string, error: string | undefined): void {
  const outcome = { at: Date.now(), ok: error === undefined, error };
  writeRunFile(dataDirectory, 'reload.json', `${JSON.stringify(outcome)}\n`);
}
