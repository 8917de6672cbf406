/**
 * What a client is told while it waits: in IDLE (RFC 2177), and whenever it asked for with NOTIFY (RFC 5465). Changes
 * that come together are told together; nothing is told while a command runs, which tells them itself at its end.
 */

import { describeError } from '../../../core/base/errors.ts';
import type { AccountChange, FolderInfo, WatchScope } from '../../mailbox/mailbox.ts';
import type { ViewChanges } from '../../mailbox/view.ts';
import { Contexts } from './contexts.ts';
import { fetchMessages } from './fetch.ts';
import { listText } from './list-text.ts';
import type { FetchItem } from './parse/fetch-item.ts';
import type { Selected } from './selected.ts';
import type { Session } from './session.ts';

export type NotifyEvent =
  | 'MESSAGENEW'
  | 'MESSAGEEXPUNGE'
  | 'FLAGCHANGE'
  | 'MAILBOXNAME'
  | 'SUBSCRIPTIONCHANGE'
  | 'MAILBOXMETADATACHANGE'
  | 'SERVERMETADATACHANGE';

/** NOTIFY SET, its mailboxes resolved to a question about a name. */
export interface Registration {
  /** Undefined: nothing was asked of the selected mailbox. */
  readonly selected:
    | {
        readonly delayed: boolean;
        readonly events: ReadonlySet<NotifyEvent>;
        readonly items: readonly FetchItem[];
      }
    | undefined;
  readonly others: readonly {
    readonly matches: (folder: string) => boolean;
    readonly events: ReadonlySet<NotifyEvent>;
  }[];
}

const messageEvents = ['MESSAGENEW', 'MESSAGEEXPUNGE', 'FLAGCHANGE'] as const;

export class Updates {
  readonly contexts: Contexts;
  readonly #session: Session;
  #registration: Registration | undefined;
  #mode: 'busy' | 'waiting' | 'idle' = 'busy';
  #scheduled = false;
  #stopFolder: (() => void) | undefined;
  #stopAccount: (() => void) | undefined;
  readonly #changedFolders = new Set<string>();
  readonly #changedMetadata = new Set<string>();
  #listChanged = false;
  #known: readonly FolderInfo[] = [];
  #telling: Promise<void> = Promise.resolve();

  constructor(session: Session) {
    this.#session = session;
    this.contexts = new Contexts(session);
  }

  selected(): void {
    this.#stopFolder?.();
    this.#stopFolder = this.#session.selected.folder.onChange(() => this.#schedule());
  }

  deselected(): void {
    this.#stopFolder?.();
    this.#stopFolder = undefined;
    this.contexts.clear();
  }

  reset(): void {
    this.#stopAccount?.();
    this.#stopAccount = undefined;
    this.#registration = undefined;
    this.#changedFolders.clear();
    this.#changedMetadata.clear();
    this.#listChanged = false;
  }

  /** NOTIFY SET, or NONE with undefined. @param known the folders there are */
  async register(registration: Registration | undefined, known: readonly FolderInfo[]): Promise<void> {
    this.reset();
    if (!registration) return;
    this.#registration = registration;
    this.#known = known;
    const asksForMessages = registration.others.some(({ events }) =>
      messageEvents.some((event) => events.has(event)),
    );
    const scope: WatchScope = asksForMessages ? 'all' : 'none';
    const stop = await this.#session.account.watch((change) => this.#changed(change), scope);
    // Meanwhile the session may have ended, or asked for something else.
    if (this.#registration === registration) this.#stopAccount = stop;
    else stop();
  }

  /** A command begins: nothing is told until `wait`. Resolves when what was being told is out. */
  async busy(): Promise<void> {
    this.#mode = 'busy';
    await this.#telling;
  }

  /** The client may be told things now. @param mode `idle` where it asked to be told everything of its mailbox */
  wait(mode: 'waiting' | 'idle'): void {
    this.#mode = mode;
    this.#schedule();
  }

  /** After the session told of its mailbox. */
  announced(changes: ViewChanges): void {
    this.contexts.changed(changes);
  }

  #changed(change: AccountChange): void {
    if (change.kind === 'folders') this.#listChanged = true;
    else if (change.kind === 'metadata') this.#changedMetadata.add(change.folder);
    else this.#changedFolders.add(change.folder);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#mode === 'busy' || this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#mode === 'busy') return;
      this.#telling = this.#telling.then(() => this.#tell()).catch((error) => this.#failed(error));
    });
  }

  /** A client that cannot be told is not worse off than one that did not ask; its next command shows the error. */
  #failed(error: unknown): void {
    const { house, wire } = this.#session;
    house.log.warn('imap-notify-failed', { id: wire.peer.id, error: describeError(error) });
  }

  async #tell(): Promise<void> {
    const session = this.#session;
    const { selectedOrNone: selected } = session;
    if (selected) await this.#tellSelected(selected);
    if (this.#registration) await this.#tellOthers(this.#registration);
    session.out.flush();
  }

  async #tellSelected({ view }: Selected): Promise<void> {
    const session = this.#session;
    const asked = this.#registration?.selected;
    const isIdle = this.#mode === 'idle';
    // RFC 5465 section 3.1: what was not asked for waits for the next command.
    if (!isIdle && !asked?.events.has('MESSAGENEW')) return;
    // Section 6.2: SELECTED-DELAYED keeps message numbers while no command asks.
    const expunge = isIdle || asked?.delayed === false;
    const highest = view.uidAt(view.count);
    session.announce(expunge, { holdsFlags: !isIdle && !asked?.events.has('FLAGCHANGE') });
    await this.contexts.tell();
    if (asked && asked.items.length > 0) await this.#fetchNew(highest, asked.items);
  }

  async #fetchNew(highest: number, items: readonly FetchItem[]): Promise<void> {
    const { view } = this.#session.selected;
    const uids = view.uids.filter((uid) => uid > highest);
    if (uids.length > 0) await fetchMessages(this.#session, uids, items, { uid: false });
  }

  async #tellOthers(registration: Registration): Promise<void> {
    const session = this.#session;
    if (this.#listChanged) {
      this.#listChanged = false;
      await this.#tellList(registration);
    }
    const selected = session.selectedOrNone?.folder.name;
    for (const folder of takeAll(this.#changedFolders)) {
      if (folder === selected || !wanted(registration, folder, messageEvents)) continue;
      await this.tellStatus(folder);
    }
    for (const folder of takeAll(this.#changedMetadata)) {
      const event = folder === '' ? 'SERVERMETADATACHANGE' : 'MAILBOXMETADATACHANGE';
      if (folder !== '' && !wanted(registration, folder, [event])) continue;
      const entries = [...(await session.account.metadata(folder)).keys()];
      if (entries.length > 0)
        session.untagged(`METADATA ${session.mailboxText(folder)} ${entries.join(' ')}`);
    }
  }

  /** RFC 5465 section 4: what a client needs to know to see that it wants to look. */
  async tellStatus(folder: string): Promise<void> {
    const session = this.#session;
    const status = await session.account.status(folder).catch(() => undefined);
    if (!status) return;
    const modseq = session.tellsModseq ? ` HIGHESTMODSEQ ${status.highestModseq}` : '';
    session.untagged(
      `STATUS ${session.mailboxText(folder)} (MESSAGES ${status.messages} UIDNEXT ${status.uidNext} UIDVALIDITY ${status.uidValidity} UNSEEN ${status.unseen}${modseq})`,
    );
  }

  #tellGone(registration: Registration, folder: string): void {
    if (!wanted(registration, folder, ['MAILBOXNAME'])) return;
    this.#session.untagged(`LIST (\\NonExistent) "/" ${this.#session.mailboxText(folder)}`);
  }

  async #tellList(registration: Registration): Promise<void> {
    const session = this.#session;
    const before = new Map(this.#known.map((info) => [info.name, info]));
    this.#known = await session.account.list();
    for (const info of this.#known) {
      const old = before.get(info.name);
      before.delete(info.name);
      // A name that is subscribed outlives its folder.
      if (old?.exists && !info.exists) this.#tellGone(registration, info.name);
      const isNew = info.exists && !old?.exists;
      const isSubscription = old !== undefined && old.subscribed !== info.subscribed;
      if (isNew && wanted(registration, info.name, ['MAILBOXNAME'])) {
        session.untagged(`LIST ${listText(session, info, { subscribed: info.subscribed })}`);
      } else if (isSubscription && wanted(registration, info.name, ['SUBSCRIPTIONCHANGE'])) {
        session.untagged(`LIST ${listText(session, info, { subscribed: true })}`);
      }
    }
    for (const gone of before.values()) this.#tellGone(registration, gone.name);
  }
}

function wanted(registration: Registration, folder: string, events: readonly NotifyEvent[]): boolean {
  // RFC 5465 section 3.1: of several filters that match, the first counts.
  const first = registration.others.find(({ matches }) => matches(folder));
  return first !== undefined && events.some((event) => first.events.has(event));
}

function takeAll(names: Set<string>): string[] {
  const all = [...names];
  names.clear();
  return all;
}
