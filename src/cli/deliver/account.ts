/** Who gets the message: the calling system user, another one where root asks, or a user of the server. */
import { execFileSync } from 'node:child_process';
import { userInfo } from 'node:os';
import { DeliveryError, deliveryCodes } from './delivery-error.ts';

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** Absolute. */
  readonly home: string;
  /** The login shell. */
  readonly shell: string;
}

/** The caller, as the system knows him. */
export function callingAccount(): Account {
  const { username, uid, gid, homedir, shell } = userInfo();
  // HOME is the user's own wish, and counts for himself only.
  const home = process.env.HOME?.startsWith('/') ? process.env.HOME : homedir;
  return { name: username, uid, gid, home, shell: shell || '/bin/sh' };
}

/** By name from the system's databases; undefined when there is no such user. */
export function systemAccount(name: string): Account | undefined {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]*\$?$/.test(name)) return undefined;
  try {
    const line = execFileSync('getent', ['passwd', name], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [entry, , uid, gid, , home, shell] = line.trim().split(':');
    // A number is looked up as an id as well, which nobody meant.
    if (entry !== name || !home?.startsWith('/')) return undefined;
    // passwd(5): an empty field means /bin/sh.
    return { name, uid: Number(uid), gid: Number(gid), home, shell: shell || '/bin/sh' };
  } catch (error) {
    // getent: 2, no such key. Whatever else went wrong, nobody knows whether the user exists.
    if ((error as { status?: number }).status === 2) return undefined;
    throw new DeliveryError(deliveryCodes.tempFail, `cannot look up user ${name}`, '4.3.0');
  }
}

/** Root becomes the user for good; anybody else must be that user already. @throws DeliveryError EX_TEMPFAIL */
export function actAs(account: Account): void {
  const caller = process.getuid!();
  if (caller === account.uid) return;
  if (caller !== 0) {
    // An MTA that starts us as the wrong user is to be mended; its mail must not go back meanwhile.
    throw new DeliveryError(
      deliveryCodes.tempFail,
      `only root may deliver for another user (${account.name})`,
      '4.3.5',
    );
  }
  process.setgroups!(groupsOf(account));
  process.setgid!(account.gid);
  process.setuid!(account.uid);
  Object.assign(process.env, { HOME: account.home, USER: account.name, LOGNAME: account.name });
  // What root's environment says of a mailbox is root's.
  delete process.env.MAIL;
}

/** @throws DeliveryError EX_TEMPFAIL: without his groups a user may lack what he delivers with */
function groupsOf({ name, gid }: Account): number[] {
  try {
    const numbers = execFileSync('id', ['-G', name], { encoding: 'utf8' }).trim().split(/\s+/).map(Number);
    return [...new Set([gid, ...numbers])];
  } catch {
    throw new DeliveryError(deliveryCodes.tempFail, `cannot look up the groups of ${name}`, '4.3.0');
  }
}
