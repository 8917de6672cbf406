/** One client of IMAP: who it is, what it has enabled and selected, and what it is told unasked. RFC 9051 section 3. */

import type { ListenerConfig } from '../../../core/config/config.ts';
import type { Account } from '../../mailbox/mailbox.ts';
import { decodeModifiedUtf7, encodeModifiedUtf7 } from '../../mailbox/modified-utf7.ts';
import type { User } from '../../users/users.ts';
import type { Login } from '../login.ts';
import type { AccessHouse } from '../protocol.ts';
import type { Wire } from '../wire.ts';
import type { CommandState } from './command.ts';
import { Output } from './output.ts';
import { utf8 } from './parse/cursor.ts';
import { bad, no } from './refusal.ts';
import type { Selected } from './selected.ts';
import { Updates } from './updates.ts';
import { astringText, octetsOf, setText } from './write/text.ts';

/** What ENABLE can enable. RFC 5161. */
export type Enabled = 'CONDSTORE' | 'IMAP4REV2' | 'QRESYNC' | 'UIDONLY' | 'UTF8=ACCEPT';

export class Session {
  readonly wire: Wire;
  readonly house: AccessHouse;
  readonly listener: ListenerConfig;
  readonly login: Login;
  readonly out: Output;
  readonly updates: Updates;
  readonly enabled = new Set<Enabled>();
  /** Set by LOGOUT, and where we end the session: after the answer nothing more is read. */
  isOver = false;
  isCompressed = false;
  #user: User | undefined;
  #account: Account | undefined;
  #selected: Selected | undefined;

  constructor(wire: Wire, house: AccessHouse, listener: ListenerConfig) {
    this.wire = wire;
    this.house = house;
    this.listener = listener;
    this.login = house.logins.begin(wire, listener);
    this.out = new Output(wire);
    this.updates = new Updates(this);
  }

  /** True when a command of that state may run now. */
  isIn(state: CommandState): boolean {
    switch (state) {
      case 'any':
        return true;
      case 'notAuthenticated':
        return this.#account === undefined;
      case 'authenticated':
        return this.#account !== undefined;
      case 'selected':
        return this.#selected !== undefined;
    }
  }

  get user(): User {
    if (!this.#user) throw bad('log in first');
    return this.#user;
  }

  get account(): Account {
    if (!this.#account) throw bad('log in first');
    return this.#account;
  }

  get hasAccount(): boolean {
    return this.#account !== undefined;
  }

  get selected(): Selected {
    if (!this.#selected) throw bad('no mailbox is selected');
    return this.#selected;
  }

  get selectedOrNone(): Selected | undefined {
    return this.#selected;
  }

  /** The mailbox that is selected, for changing it. */
  get writable(): Selected {
    const { selected } = this;
    // RFC 9051 section 6.3.3: EXAMINE changes nothing.
    if (selected.folder.readOnly) throw no('the mailbox is read-only', 'NOPERM');
    return selected;
  }

  /** @throws MailboxError UNAVAILABLE */
  async enter(user: User): Promise<void> {
    this.#account = await this.house.openAccount(user);
    this.#user = user;
  }

  /** Back to where no one was logged in. RFC 8437. */
  leave(): void {
    this.updates.reset();
    this.deselect();
    this.#account?.close();
    this.#account = undefined;
    this.#user = undefined;
    this.enabled.clear();
  }

  select(selected: Selected): void {
    this.#selected = selected;
    this.updates.selected();
  }

  /** The selected mailbox has another name by a RENAME of this session, and stays selected. @throws MailboxError */
  async follow(name: string): Promise<void> {
    const { selected } = this;
    const { folder } = selected;
    selected.folder = await this.#account!.openFolder(name, { readOnly: folder.readOnly });
    folder.close();
    this.updates.selected();
  }

  deselect(): void {
    this.updates.deselected();
    this.#selected?.folder.close();
    this.#selected = undefined;
  }

  has(enabled: Enabled): boolean {
    return this.enabled.has(enabled);
  }

  /** RFC 9051 dropped `\Recent`. */
  get tellsRecent(): boolean {
    return !this.has('IMAP4REV2');
  }

  get tellsModseq(): boolean {
    return this.has('CONDSTORE');
  }

  /** RFC 7162 section 3.1: what enables CONDSTORE; a mailbox that is selected says its HIGHESTMODSEQ then. */
  enableCondstore(): void {
    if (this.has('CONDSTORE')) return;
    this.enabled.add('CONDSTORE');
    if (this.#selected)
      this.untagged(`OK [HIGHESTMODSEQ ${this.#selected.view.snapshot.highestModseq}] Highest`);
  }

  /** @param octets Latin-1, without line end */
  untagged(octets: string): void {
    this.out.write(`* ${octets}\r\n`);
  }

  /** Name of a folder as the client wrote it. @throws Refusal for what is no name */
  folderName(written: string): string {
    const name = this.#namesAreUtf8 ? utf8(written) : this.#fromModifiedUtf7(written);
    // One at the end says that children will follow. RFC 9051 section 6.3.4.
    const trimmed = name.length > 1 && name.endsWith('/') ? name.slice(0, -1) : name;
    return /^inbox(?=\/|$)/i.test(trimmed) ? `INBOX${trimmed.slice(5)}` : trimmed;
  }

  /** A pattern of LIST as the client wrote it; one that is no name at all matches none. */
  patternText(written: string): string {
    return (this.#namesAreUtf8 ? undefined : decodeModifiedUtf7(written)) ?? utf8(written);
  }

  /** A folder's name as this client reads it, quoted where it must be. */
  mailboxText(folder: string): string {
    return astringText(this.#namesAreUtf8 ? octetsOf(folder) : encodeModifiedUtf7(folder));
  }

  /** RFC 9051 section 5.1, RFC 9755 section 3: names are UTF-8 once the client can read it. */
  get #namesAreUtf8(): boolean {
    return this.has('IMAP4REV2') || this.has('UTF8=ACCEPT');
  }

  #fromModifiedUtf7(written: string): string {
    const name = decodeModifiedUtf7(written);
    if (name !== undefined) return name;
    if (!/[\x80-\xff]/.test(written)) throw no('this is no mailbox name', 'CANNOT');
    return utf8(written);
  }

  /**
   * Tells what happened in the selected mailbox.
   * @param expunge whether message numbers may change now
   * @param options.toldElsewhere messages whose flags the answer tells in its own way
   * @param options.holdsFlags flags are told the next time
   */
  announce(
    expunge: boolean,
    options: { readonly toldElsewhere?: ReadonlySet<number>; readonly holdsFlags?: boolean } = {},
  ): void {
    const selected = this.#selected;
    if (!selected) return;
    const changes = selected.update(expunge);
    if (selected.hasNewKeywords()) this.tellFlags();
    this.#tellExpunged(changes.expunged);
    if (changes.added > 0) this.#tellCount();
    const changed = selected.holdFlags(changes.changed, options.holdsFlags === true);
    for (const uid of changed) if (!options.toldElsewhere?.has(uid)) this.tellMessageFlags(uid, false);
    this.updates.announced(changes);
  }

  /** After STORE: what it did is told whether it changed something or not, what others did, too. RFC 9051 section 6.4.6. */
  announceStored(done: readonly number[], silent: boolean): void {
    const { selected } = this;
    const own = new Set(done);
    const changes = selected.update(false);
    if (selected.hasNewKeywords()) this.tellFlags();
    for (const uid of changes.changed) if (!own.has(uid)) this.tellMessageFlags(uid, false);
    for (const uid of done) this.tellMessageFlags(uid, silent);
    if (changes.added > 0) this.#tellCount();
    this.updates.announced(changes);
  }

  /** Ends the session once its command is answered. @param text why, for the client */
  end(text: string): void {
    this.untagged(`BYE ${text}`);
    this.isOver = true;
  }

  #tellCount(): void {
    this.untagged(`${this.selected.view.count} EXISTS`);
    if (this.tellsRecent) this.untagged(`${this.selected.countRecent()} RECENT`);
  }

  /** The FLAGS response, and which of them last. */
  tellFlags(): void {
    const { selected } = this;
    this.untagged(`FLAGS (${selected.definedFlags().join(' ')})`);
    this.untagged(`OK [PERMANENTFLAGS (${selected.permanentFlags().join(' ')})] Permitted flags`);
  }

  /** @param silent the client asked not to hear the flags: then only a new modseq is told. RFC 7162 section 3.1.3 */
  tellMessageFlags(uid: number, silent: boolean): void {
    const { selected } = this;
    const seq = selected.view.seqOf(uid);
    if (seq === 0 || (silent && !this.tellsModseq)) return;
    const items = [`UID ${uid}`];
    if (!silent) items.push(`FLAGS (${selected.flagsText(seq, this.tellsRecent)})`);
    if (this.tellsModseq) items.push(`MODSEQ (${selected.modseqOf(seq)})`);
    this.fetched(uid, seq, items.join(' '));
  }

  /** A FETCH response, or UIDFETCH where there are no message numbers. RFC 9586 section 3.3. */
  fetched(uid: number, seq: number, items: string): void {
    if (this.has('UIDONLY')) this.untagged(`${uid} UIDFETCH (${items.replace(/^UID \d+ /, '')})`);
    else this.untagged(`${seq} FETCH (${items})`);
  }

  /** RFC 7162 section 3.2.10: VANISHED takes the place of EXPUNGE; RFC 9586 section 3.5. */
  #tellExpunged(expunged: readonly { readonly seq: number; readonly uid: number }[]): void {
    if (expunged.length === 0) return;
    this.updates.contexts.expunging(expunged);
    if (this.has('QRESYNC') || this.has('UIDONLY')) {
      const uids = expunged.map(({ uid }) => uid).sort((a, b) => a - b);
      this.untagged(`VANISHED ${setText(uids)}`);
    } else {
      for (const { seq } of expunged) this.untagged(`${seq} EXPUNGE`);
    }
  }
}
