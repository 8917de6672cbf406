/** One unprivileged user owns everything; root is only for binding ports and reading keys. */
import { lchownSync, readFileSync } from 'node:fs';
import { OperationalError } from '../core/base/errors.ts';
import type { Config, ListenAddress } from '../core/config/config.ts';
import { isLoopback } from '../core/net/ip.ts';

export interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups: a scanner's socket is often open to its group alone. */
  readonly groups: readonly number[];
}

/**
 * Whom to become, or undefined when there is nothing to give up.
 * @throws OperationalError `runs-as-root` when root would serve the network, `no-such-user`
 */
export function userToBecome(config: Config): SystemUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  if (config.user !== undefined) return systemUser(config.user);
  if (config.listeners.every(({ address }) => isOnLoopback(address))) return undefined;
  throw new OperationalError(
    'runs-as-root',
    'started as root, but the config names no "user" to become; only listeners on loopback may run as root',
    { temporary: false },
  );
}

/** Gives up root for good, in all threads. To be called once everything is bound and read. */
export function become({ uid, gid, groups }: SystemUser): void {
  process.setgroups!([gid, ...groups]);
  process.setgid!(gid);
  process.setuid!(uid);
}

/** What was made as root belongs to whom we become; never what a link that was put in its place leads to. */
export function handOver(path: string, user: SystemUser | undefined): void {
  if (user) lchownSync(path, user.uid, user.gid);
}

/** @throws OperationalError `no-such-user` */
export function systemUser(name: string): SystemUser {
  const user = findSystemUser(name);
  if (user !== undefined) return user;
  throw new OperationalError('no-such-user', `the system has no user "${name}", which the config names`, {
    temporary: false,
  });
}

/** From /etc/passwd and /etc/group. */
export function findSystemUser(name: string): SystemUser | undefined {
  const entry = systemTable('/etc/passwd').find(([entryName]) => entryName === name);
  if (!entry) return undefined;
  const groups = systemTable('/etc/group').filter(([, , , members]) => members?.split(',').includes(name));
  return {
    name,
    uid: Number(entry[2]),
    gid: Number(entry[3]),
    groups: groups.map(([, , gid]) => Number(gid)),
  };
}

/** Name of a user id, or undefined when the system has none. */
export function systemUserName(uid: number): string | undefined {
  return systemTable('/etc/passwd').find(([, , id]) => Number(id) === uid)?.[0];
}

function systemTable(path: string): string[][] {
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.filter((line) => line.includes(':')).map((line) => line.split(':'));
}

/** Only this machine reaches it. */
export function isOnLoopback(address: ListenAddress): boolean {
  return address.kind === 'unix' || isLoopback(address.host) || address.host === 'localhost';
}
