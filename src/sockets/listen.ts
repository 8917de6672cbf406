/** Opens the sockets of listeners, on TCP and on unix paths, and says plainly why where it cannot. */
import { lchownSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, type ListenOptions as NodeListenOptions, type Server } from 'node:net';
import { describeError, errnoOf, OperationalError } from '../../core/base/errors.ts';
import { listenBacklog } from '../../core/base/limits/doors.ts';
import type { ListenAddress, ListenerConfig } from '../../core/config/config.ts';
import { formatListenAddress } from '../../core/config/listen-address.ts';

export interface ListenOptions {
  /** Numeric ids for the socket file of a unix listener whose config names an owner. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Share the port with other processes of ours that say so too. */
  readonly reusePort?: boolean;
}

/**
 * Binds and listens. Resolves with the address that is bound, the port filled in where the config says 0.
 * @throws OperationalError `listen` that names listener, address and config option.
 */
export async function listen(
  server: Server,
  listener: Pick<ListenerConfig, 'name' | 'address'>,
  { owner, reusePort = false }: ListenOptions = {},
): Promise<ListenAddress> {
  const { address } = listener;
  try {
    if (address.kind === 'unix') await removeStaleSocket(address.path);
    if (address.kind === 'tcp') {
      await bind(server, { host: address.host, port: address.port, backlog: listenBacklog, reusePort });
      return { ...address, port: boundPort(server) };
    }
    await bindUnix(server, address.path, address.mode);
    // Never what a link that was put in its place leads to.
    if (owner !== undefined) lchownSync(address.path, owner.uid, owner.gid);
    return address;
  } catch (error) {
    if (server.listening) server.close();
    throw listenError(listener, error);
  }
}

/** The file has its mode from its first moment on; a chmod by its path could reach another file. Node binds before listen() returns. */
function bindUnix(server: Server, path: string, mode: number | undefined): Promise<void> {
  if (mode === undefined) return bind(server, { path });
  const before = process.umask(0o777 & ~mode);
  try {
    return bind(server, { path });
  } finally {
    process.umask(before);
  }
}

function bind(server: Server, options: NodeListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => {
      server.off('listening', done);
      reject(error);
    };
    const done = () => {
      server.off('error', failed);
      resolve();
    };
    server.once('error', failed);
    server.once('listening', done);
    server.listen(options);
  });
}

function boundPort(server: Server): number {
  const bound = server.address();
  return typeof bound === 'object' && bound !== null ? bound.port : 0;
}

/** A socket file that a crash left behind is in the way of its successor; one that somebody answers on is not ours. */
async function removeStaleSocket(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) throw new Error('something other than a socket is there');
  const answer = await probe(path);
  if (answer === undefined)
    throw Object.assign(new Error('another process listens there'), { code: 'EADDRINUSE' });
  if (answer === 'ECONNREFUSED') unlinkSync(path);
  else if (answer !== 'ENOENT') throw new Error(`cannot tell whether the socket is in use (${answer})`);
}

/** Undefined when somebody answers, else the errno. */
function probe(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once('error', (error) => resolve(errnoOf(error) ?? 'unknown'));
  });
}

function listenError(listener: Pick<ListenerConfig, 'name' | 'address'>, cause: unknown): OperationalError {
  const address = formatListenAddress(listener.address);
  const option = `listeners.${listener.name}.address`;
  const errno = errnoOf(cause);
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE:
      listener.address.kind === 'tcp'
        ? `port ${listener.address.port} is taken by another program; stop that program or change ${option}`
        : `another process listens there; stop it or change ${option}`,
    EACCES: `permission denied; ports below 1024 need root or CAP_NET_BIND_SERVICE, or change ${option}`,
    EADDRNOTAVAIL: `this machine does not have that address; change ${option}`,
  };
  const reason = reasons[errno ?? ''] ?? `${describeError(cause)} (${option})`;
  return new OperationalError(
    'listen',
    `listener "${listener.name}" cannot listen on ${address}: ${reason}`,
    {
      temporary: false,
      cause,
      facts: { listener: listener.name, address, option, errno: errno ?? null },
    },
  );
}
