/** What a run of a script means for a message that lies in a mailbox already. */
import type { Outcome, SieveAction } from '../../rules/sieve/index.ts';

export interface Change {
  /** Where it goes, in order; the last of them by moving where it does not stay. */
  readonly copies: readonly {
    readonly folder: string;
    readonly create: boolean;
    readonly flags: readonly string[];
  }[];
  readonly stays: boolean;
  /** Added to the message that stays. */
  readonly flags: readonly string[];
  /** For people: what is done, and what of the script is not. */
  readonly words: readonly string[];
  /** Lines of the script that asked for it. */
  readonly lines: readonly number[];
}

const trash = 'Trash';

/** Undefined where the message lies as the script wants it. @param here the folder it is in; @param folders that there are */
export function changeOf(outcome: Outcome, here: string, folders: readonly string[]): Change | undefined {
  if (outcome.error) return undefined;
  const { actions } = outcome;
  const targets = actions.flatMap((action) => (action.type === 'fileinto' ? [action] : []));
  const missing = targets.filter(({ mailbox, create }) => !create && !isThere(mailbox, folders));
  const copies = targets
    .filter((target) => !missing.includes(target) && !isSame(target.mailbox, here))
    .map(({ mailbox, create, flags }) => ({ folder: nameOf(mailbox), create, flags }));
  const kept = actions.find(({ type }) => type === 'keep') as (SieveAction & { type: 'keep' }) | undefined;
  const own = targets.find(({ mailbox }) => isSame(mailbox, here));
  const notDone = actions.filter(({ type }) => ['redirect', 'reject', 'vacation', 'notify'].includes(type));
  const discarded = actions.some(({ type }) => type === 'discard') && notDone.length === 0;
  const stays =
    kept !== undefined || own !== undefined || missing.length > 0 || (copies.length === 0 && !discarded);
  const flags = [...(kept?.flags ?? []), ...(own?.flags ?? [])];
  const thrown = !stays && copies.length === 0 && !isSame(trash, here);
  if (thrown) copies.push({ folder: trash, create: true, flags: [] });
  if (copies.length === 0 && flags.length === 0) return undefined;
  const words = [
    ...copies.map(
      ({ folder }, index) => `${stays || index < copies.length - 1 ? 'copy' : 'move'} to ${folder}`,
    ),
    ...(flags.length > 0 ? [`flags ${flags.join(' ')}`] : []),
    ...missing.map(({ mailbox }) => `no folder ${mailbox}`),
    ...notDone.map(({ type }) => `(${type} is not done)`),
  ];
  const lines = [...new Set(actions.flatMap(({ at }) => (at ? [at.line] : [])))];
  return { copies, stays, flags, words, lines };
}

function isThere(mailbox: string, folders: readonly string[]): boolean {
  return folders.some((each) => isSame(each, mailbox));
}

function nameOf(mailbox: string): string {
  return mailbox.toUpperCase() === 'INBOX' ? 'INBOX' : mailbox;
}

function isSame(one: string, other: string): boolean {
  return nameOf(one) === nameOf(other);
}
