/** IMAPSIEVE: what users do to messages runs the script that the mailbox names; what it decides is done to the message. RFC 6785. */
import type { Edit } from '../../../core/mail/edit.ts';
import { render, streamRendered } from '../../../core/mail/render.ts';
import { memorySource } from '../../../core/mail/source.ts';
import type { ImapEvent } from '../../../core/session/imap-event.ts';
import type { MailboxAction } from '../../calls/mta-calls.ts';
import type { Account, Folder } from '../../mailbox/mailbox.ts';
import type { AccessHouse } from '../protocol.ts';
import { queueEvent } from './events.ts';
import type { Session } from './session.ts';

/** Section 2.3.1. */
const scriptEntry = '/shared/imapsieve/script';

/** Section 2.2: with the ManageSieve server where there is one; undefined where events run no scripts. */
export function imapsieveCapability({ config }: AccessHouse): string | undefined {
  const { mailbox, listeners, hostname } = config();
  if (!mailbox?.sieve?.imap) return undefined;
  const hasServer = listeners.some(({ protocol }) => protocol === 'managesieve');
  return `IMAPSIEVE=${hasServer ? `sieve://${hostname}` : ''}`;
}

/** The script of that folder, else the server's. Section 2.3.1. */
export async function scriptOf(
  house: AccessHouse,
  account: Account,
  folder: string,
): Promise<string | undefined> {
  if (imapsieveCapability(house) === undefined) return undefined;
  const own = (await account.metadata(folder)).get(scriptEntry);
  return (own ?? (await account.metadata('')).get(scriptEntry)) || undefined;
}

/**
 * Messages that came by APPEND, or whose flags were changed. Not waited for, as moves are not.
 * @param changes by UID, the flags that were changed; asked only where scripts run
 */
export function tellOfEvent(
  session: Session,
  folderName: string,
  cause: 'APPEND' | 'FLAG',
  changes: () => ReadonlyMap<number, readonly string[]>,
): void {
  if (imapsieveCapability(session.house) === undefined) return;
  const changed = changes();
  if (changed.size === 0) return;
  const { house, user } = session;
  const tell = async (account: Account) => {
    const script = await scriptOf(house, account, folderName);
    if (script === undefined) return;
    const folder = await account.openFolder(folderName, { readOnly: false });
    try {
      await folder.refresh();
      for await (const { uid, octets } of folder.messages([...changed.keys()], 'all')) {
        const event = { script, cause, changedFlags: changed.get(uid) ?? [] };
        await runEvent({ house, account, folder, user: user.address, uid, octets, from: folderName, event });
      }
    } finally {
      folder.close();
    }
  };
  queueEvent(house, user, { failure: 'event-not-told', messages: changed.size, tell });
}

export interface EventMessage {
  readonly house: AccessHouse;
  readonly account: Account;
  /** Where the message lies now. */
  readonly folder: Folder;
  readonly user: string;
  readonly uid: number;
  readonly octets: Uint8Array;
  readonly from: string;
  /** Absent: plugins hear of the move, and no script runs. */
  readonly event?: ImapEvent | undefined;
}

/** Tells the mta, and does what rules ask for. Changes of ours are no events: section 3.7. */
export async function runEvent(message: EventMessage): Promise<void> {
  const { house, folder, user, uid, octets, from, event } = message;
  const index = folder.snapshot.indexOf(uid);
  const flags = index < 0 ? [] : folder.snapshot.flagNames(index);
  const actions = await house.mta.moved({
    ...{ user, message: octets, from, to: folder.name, flags: flags.filter((flag) => flag !== '\\Recent') },
    ...(event && { event }),
  });
  if (event && actions.length > 0) await carryOut(message, flags, actions);
}

async function carryOut(
  { account, folder, uid, octets }: EventMessage,
  flags: readonly string[],
  actions: readonly MailboxAction[],
): Promise<void> {
  const stores = actions.filter((action) => action.type === 'store');
  const isHere = ({ mailbox }: MailboxAction & { type: 'store' }) => mailbox === folder.name;
  for (const store of stores) if (!isHere(store)) await addCopy(account, store, octets);
  const kept = stores.find(isHere);
  if (kept === undefined) {
    // Sections 3.4 to 3.6: without a keep the message is marked, and the client expunges it.
    await folder.store([uid], { how: 'add', flags: ['\\Deleted'] });
  } else if ((kept.edits ?? []).length > 0) {
    await addCopy(account, kept, octets);
    await folder.remove([uid]);
  } else if (kept.flags && differ(kept.flags, flags)) {
    await folder.store([uid], { how: 'replace', flags: kept.flags });
  }
}

/** A message with its edits, in a folder that is made where it may be; else in INBOX. */
async function addCopy(
  account: Account,
  { mailbox, create, flags = [], edits = [], message }: MailboxAction & { type: 'store' },
  octets: Uint8Array,
): Promise<void> {
  const folders = await account.list();
  const exists = folders.some(({ name, exists: isThere }) => name === mailbox && isThere);
  if (!exists && create) await account.create(mailbox);
  const upload = await account.upload();
  try {
    for await (const chunk of rendered(message ?? octets, edits)) await upload.write(chunk);
    await account.append(exists || create ? mailbox : 'INBOX', [{ upload, flags }]);
  } finally {
    await upload.discard();
  }
}

function rendered(
  octets: Uint8Array,
  edits: readonly Edit[],
): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  if (edits.length === 0) return [octets];
  return streamRendered(render(memorySource(octets), edits, { smtputf8: true }), 'crlf');
}

function differ(wanted: readonly string[], present: readonly string[]): boolean {
  const form = (flags: readonly string[]) =>
    [...new Set(flags.map((flag) => flag.toLowerCase()))]
      .filter((flag) => flag !== '\\recent')
      .sort()
      .join(' ');
  return form(wanted) !== form(present);
}
