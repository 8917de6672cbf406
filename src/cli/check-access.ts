/** What the server's system user may read and write, judged by the mode bits: the one who checks is often root, who may do everything. */
import { existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Config } from '../../core/config/config.ts';
import { type SystemUser, userToBecome } from '../privileges.ts';
import type { Finding } from './check.ts';

type Need = 'read' | 'write';
const bits: Readonly<Record<Need, number>> = { read: 0o4, write: 0o2 };
const enter = 0o1;

/** Nothing to find when the server stays who starts it. Throws what `userToBecome` throws. */
export function checkAccess(config: Config): Finding[] {
  const user = userToBecome(config);
  if (user === undefined) return [];
  const { users, tls, mailbox } = config;
  // Certificate, key and users are read again by a reload, when root is long given up.
  const read = [config.file, users?.file, tls?.certFile, tls?.keyFile];
  const mail = mailbox.path.slice(0, mailbox.path.indexOf('{')).replace(/[^/]*$/, '');
  // The data directory itself is made by root and handed over.
  const mailIsInside = `${mail}/`.startsWith(`${config.dataDirectory}/`);
  const write = [
    existing(config.dataDirectory) === config.dataDirectory ? config.dataDirectory : undefined,
    mailIsInside && !existsSync(mail) ? undefined : mail,
  ];
  return [
    ...read.flatMap((path) => denied(path, 'read', user)),
    ...write.flatMap((path) => denied(path, 'write', user)),
  ];
}

function denied(path: string | undefined, need: Need, user: SystemUser): Finding[] {
  if (path === undefined) return [];
  const there = need === 'write' ? existing(path) : path;
  // A file that is missing was named by the check of that file.
  if (!existsSync(there)) return [];
  const closed = foldersAbove(there).find((folder) => !may(folder, enter, user));
  if (closed === undefined && may(there, need === 'write' ? bits.write | enter : bits.read, user)) return [];
  const what =
    closed === undefined
      ? `cannot be ${need === 'read' ? 'read' : 'written'} by`
      : `lies in ${closed}, which is closed to`;
  const advice = `the user "${user.name}" that the server becomes: chown ${user.name} ${closed ?? there}`;
  return [{ severity: 'error', area: 'user', where: path, what: `${what} ${advice}` }];
}

/** Owner, else group, else others: the first that fits decides, as in the kernel. path_resolution(7). */
function may(path: string, wanted: number, { uid, gid, groups }: SystemUser): boolean {
  const { mode, uid: owner, gid: group } = statSync(path);
  const shift = owner === uid ? 6 : group === gid || groups.includes(group) ? 3 : 0;
  return ((mode >> shift) & wanted) === wanted;
}

function foldersAbove(path: string): string[] {
  const folders: string[] = [];
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder))
    folders.unshift(folder);
  return folders;
}

/** The path, or the nearest folder above it that is there. */
function existing(path: string): string {
  let folder = path;
  while (!existsSync(folder)) folder = dirname(folder);
  return folder.replace(/(.)\/$/, '$1');
}
