/**
 * One account in its store thread: its folders by name, what is done to them one after the other, and what it all counts
 * in the quota. Plain values in and out, so that every answer can cross to another thread.
 */
import { mkdirSync } from 'node:fs';
import { OperationalError } from '../../core/base/errors.ts';
import { openFoldersMax } from '../../core/base/limits/mailbox.ts';
import { Annotations } from './annotations.ts';
import type { EngineContext, FolderEngine, Layout, ReceivedMessage } from './engine.ts';
import { deletedBit } from './flags.ts';
import { checkFolderName, isInbox } from './folders.ts';
import { Lane } from './lane.ts';
import type {
  AccountOptions,
  Copied,
  FilledColumn,
  FlagChange,
  FolderInfo,
  FolderStatus,
  QuotaUsage,
  SpecialUse,
} from './mailbox.ts';
import { MailboxError } from './mailbox-error.ts';
import { MaildirLayout } from './maildir/layout.ts';
import { MboxLayout } from './mbox/layout.ts';
import type { QuotaLedger } from './quota.ts';
import { Snapshot } from './snapshot.ts';
import { changeSubscription, readSubscriptions } from './subscriptions.ts';

export interface AccountEngineOptions {
  readonly account: AccountOptions;
  readonly context: EngineContext;
  readonly ledger: QuotaLedger;
}

export class AccountEngine {
  readonly layout: Layout;
  readonly #options: AccountOptions;
  readonly #context: EngineContext;
  readonly #ledger: QuotaLedger;
  readonly #annotations: Annotations;
  readonly #separator: string;
  /** Whatever changes or looks at folders, one after the other. */
  readonly #lane = new Lane();
  /** Open ones; those used last at the end. */
  readonly #folders = new Map<string, FolderEngine>();
  /** How many have a folder open, which is then not closed to save memory. */
  readonly #held = new Map<FolderEngine, number>();

  constructor({ account, context, ledger }: AccountEngineOptions) {
    this.#options = account;
    this.#context = context;
    this.#ledger = ledger;
    this.layout = account.format === 'maildir' ? new MaildirLayout(context) : new MboxLayout(context);
    this.#separator = account.format === 'maildir' ? '.' : '/';
    this.#annotations = new Annotations(this.layout.annotations);
    mkdirSync(this.layout.uploads, { recursive: true, mode: 0o700 });
  }

  async list(): Promise<FolderInfo[]> {
    const there = new Set(await this.layout.list());
    const subscribed = readSubscriptions(this.layout.subscriptions, this.#separator);
    const uses = this.#annotations.specialUses();
    const names = new Set([...there, ...subscribed]);
    const parents = new Set<string>();
    for (const name of there) for (const parent of parentsOf(name)) parents.add(parent);
    for (const parent of parents) names.add(parent);
    const sorted = [...names].filter((name) => name !== 'INBOX').sort();
    return ['INBOX', ...sorted].map((name) => ({
      name,
      exists: there.has(name),
      hasChildren: parents.has(name),
      subscribed: subscribed.has(name),
      specialUse: uses.get(name) ?? [],
    }));
  }

  create(folder: string, specialUse: readonly SpecialUse[] = []): Promise<{ mailboxId: string }> {
    return this.#lane.run(async () => {
      const name = this.#checked(folder);
      if (name === 'INBOX' || this.#exists(name))
        throw new MailboxError('ALREADYEXISTS', 'the folder exists already');
      await this.layout.create(name);
      if (specialUse.length > 0) this.#annotations.setSpecialUse(name, specialUse);
      return { mailboxId: (await this.#open(name)).book.mailboxId };
    });
  }

  delete(folder: string): Promise<void> {
    return this.#lane.run(async () => {
      const name = this.#checked(folder);
      if (name === 'INBOX') throw new MailboxError('CANNOT', 'INBOX cannot be deleted');
      const engine = await this.#open(name);
      engine.book.forget();
      this.#end(name);
      await this.layout.delete(name);
      this.#annotations.delete(name);
      this.#ledger.recount(this.#options.user);
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#lane.run(async () => {
      const source = this.#checked(from);
      const target = this.#checked(to);
      if (target === 'INBOX' || this.#exists(target))
        throw new MailboxError('ALREADYEXISTS', 'the new name is taken');
      if (source === 'INBOX') await this.#emptyInboxInto(target);
      else await this.#renameTree(source, target);
    });
  }

  /** RFC 9051 section 6.3.6. */
  async #emptyInboxInto(target: string): Promise<void> {
    await this.layout.create(target);
    const inbox = await this.#open('INBOX');
    await inbox.refresh();
    const engine = await this.#open(target);
    await engine.transfer(inbox, [...uidsOf(inbox)], 'move');
    await Promise.all([engine.sync(), inbox.sync()]);
  }

  async #renameTree(source: string, target: string): Promise<void> {
    if (target.startsWith(`${source}/`)) throw new MailboxError('CANNOT', 'a folder cannot move into itself');
    const names = (await this.layout.list()).filter(
      (name) => name === source || name.startsWith(`${source}/`),
    );
    if (names.length === 0) throw new MailboxError('NONEXISTENT', 'no such folder');
    const pairs = names.map((name) => ({ from: name, to: target + name.slice(source.length) }));
    for (const { to } of pairs) this.#checked(to);
    for (const { to } of pairs) {
      if (this.#exists(to)) throw new MailboxError('ALREADYEXISTS', 'the new name of a child is taken');
    }
    for (const { from } of pairs) this.#end(from);
    await this.layout.rename(pairs);
    this.#annotations.rename(pairs);
  }

  subscribe(folder: string, subscribed: boolean): void {
    changeSubscription(this.layout.subscriptions, this.#separator, this.#checked(folder), subscribed);
  }

  setSpecialUse(folder: string, uses: readonly SpecialUse[]): void {
    this.#annotations.setSpecialUse(this.#existing(folder), uses);
  }

  metadata(folder: string): Map<string, string> {
    return this.#annotations.metadata(folder === '' ? '' : this.#existing(folder));
  }

  setMetadata(folder: string, entries: ReadonlyMap<string, string | undefined>): void {
    this.#annotations.setMetadata(folder === '' ? '' : this.#existing(folder), entries);
  }

  acl(folder: string): Map<string, string> {
    return this.#annotations.acl(this.#existing(folder));
  }

  setAcl(folder: string, identifier: string, rights: string | undefined): void {
    this.#annotations.setAcl(this.#existing(folder), identifier, rights);
  }

  status(folder: string, { size }: { readonly size?: boolean }): Promise<FolderStatus> {
    return this.#lane.run(async () => {
      const engine = await this.#current(folder);
      if (size) engine.fill([...uidsOf(engine)], ['size']);
      const { state, mailboxId } = engine.book;
      const snapshot = new Snapshot(state.publish());
      return {
        messages: snapshot.count,
        recent: snapshot.count - snapshot.indexFrom(state.firstRecentUid),
        unseen: snapshot.countUnseen(),
        deleted: snapshot.countDeleted(),
        uidNext: snapshot.uidNext,
        uidValidity: snapshot.uidValidity,
        highestModseq: snapshot.highestModseq,
        mailboxId,
        ...(size && sizesOf(snapshot)),
      };
    });
  }

  async quota(): Promise<QuotaUsage> {
    const { user, quotaBytes } = this.#options;
    const usedBytes = await this.#ledger.usage(user, this.#context.path, quotaBytes);
    return { usedBytes, limitBytes: quotaBytes };
  }

  /** The folder, brought up to date; it stays open until `release`. */
  hold(folder: string): Promise<FolderEngine> {
    return this.#lane.run(async () => {
      const engine = await this.#current(folder);
      this.#held.set(engine, (this.#held.get(engine) ?? 0) + 1);
      return engine;
    });
  }

  release(engine: FolderEngine): void {
    const left = (this.#held.get(engine) ?? 1) - 1;
    if (left > 0) this.#held.set(engine, left);
    else this.#held.delete(engine);
    // Under its name there may be another one by now.
    if (left === 0 && ![...this.#folders.values()].includes(engine)) engine.close();
  }

  refresh(engine: FolderEngine, how?: 'surely'): Promise<void> {
    return this.#lane.run(() => engine.refresh(how));
  }

  store(
    engine: FolderEngine,
    uids: readonly number[],
    { how, flags }: FlagChange,
    unchangedSince: number | undefined,
  ): Promise<{ modified: number[]; done: number[] }> {
    return this.#lane.run(async () => {
      await refreshOpen(engine);
      const bits = engine.bitsFor(flags, how !== 'remove');
      const { state } = engine.book;
      const there = uids.filter((uid) => state.indexOf(uid) >= 0);
      const modified = there.filter(
        (uid) => unchangedSince !== undefined && state.modseqAt(state.indexOf(uid)) > unchangedSince,
      );
      const skipped = new Set(modified);
      const change = changeOf(how, bits);
      let left: readonly number[] = there.filter((uid) => !skipped.has(uid));
      // Each time another program was quicker, its change is taken in and ours done on top of it.
      for (let attempt = 0; left.length > 0 && attempt < 5; attempt += 1) {
        left = await engine.setFlags(left, change);
        if (left.length > 0) await engine.refresh('surely');
      }
      if (left.some((uid) => state.indexOf(uid) >= 0))
        throw new MailboxError('INUSE', 'another program keeps changing the messages');
      return { modified, done: there.filter((uid) => !skipped.has(uid) && state.indexOf(uid) >= 0) };
    });
  }

  /** @param uids undefined for all. @param whatever also those without `\Deleted` */
  expunge(
    engine: FolderEngine,
    uids: readonly number[] | undefined,
    whatever: boolean,
  ): Promise<readonly number[]> {
    return this.#lane.run(async () => {
      await refreshOpen(engine);
      const { state } = engine.book;
      const chosen = (uids ?? [...uidsOf(engine)]).filter((uid) => {
        const index = state.indexOf(uid);
        return index >= 0 && (whatever || (state.flagsAt(index) & deletedBit) !== 0);
      });
      if (chosen.length === 0) return [];
      const removed = await engine.remove(chosen);
      this.#counted(-removed.octets, -removed.uids.length);
      return removed.uids;
    });
  }

  async append(
    folder: string,
    messages: readonly ReceivedMessage[],
  ): Promise<{ uidValidity: number; uids: readonly number[] }> {
    const octets = messages.reduce((sum, message) => sum + message.octets, 0);
    const { engine, uids } = await this.#lane.run(() =>
      this.#within(octets, async () => {
        const target = await this.#current(folder, 'TRYCREATE');
        const given = await target.receive(messages);
        this.#counted(octets, messages.length);
        return { engine: target, uids: given };
      }),
    );
    await engine.sync();
    return { uidValidity: engine.book.state.uidValidity, uids };
  }

  async transfer(
    source: FolderEngine,
    uids: readonly number[],
    folder: string,
    how: 'copy' | 'move',
  ): Promise<Copied> {
    const { target, moved } = await this.#lane.run(async () => {
      await refreshOpen(source);
      const engine = await this.#current(folder, 'TRYCREATE');
      const octets = how === 'copy' ? source.octetsOf(uids) : 0;
      return this.#within(octets, async () => {
        const result = await engine.transfer(source, uids, how);
        if (how === 'copy') this.#counted(result.addedOctets, result.to.length);
        return { target: engine, moved: result };
      });
    });
    await target.sync();
    if (how === 'move') await source.sync();
    return { uidValidity: target.book.state.uidValidity, from: moved.from, to: moved.to };
  }

  fill(engine: FolderEngine, uids: readonly number[], columns: readonly FilledColumn[]): void {
    engine.fill(uids, columns);
  }

  close(): Promise<void> {
    return this.#lane.run(async () => {
      for (const engine of this.#folders.values()) engine.close();
      this.#folders.clear();
    });
  }

  /** Does it with the room set aside. @throws MailboxError OVERQUOTA */
  async #within<T>(octets: number, work: () => Promise<T>): Promise<T> {
    const { user, quotaBytes } = this.#options;
    if (!(await this.#ledger.reserve(user, this.#context.path, quotaBytes, octets)))
      throw new MailboxError('OVERQUOTA', 'the mailbox has no room for this');
    try {
      return await work();
    } finally {
      if (quotaBytes > 0) this.#ledger.release(user, octets);
    }
  }

  #counted(octets: number, messages: number): void {
    this.layout.count(octets, messages);
    this.#ledger.stored(this.#options.user, octets);
  }

  async #current(folder: string, code?: 'TRYCREATE'): Promise<FolderEngine> {
    const name = this.#checked(folder);
    const engine = await this.#open(name, code);
    await engine.refresh();
    if (!engine.isGone) return engine;
    this.#close(name);
    return this.#open(name, code);
  }

  async #open(name: string, code?: 'TRYCREATE'): Promise<FolderEngine> {
    const known = this.#folders.get(name);
    if (known && !known.isGone) {
      // At the end: the ones that were not used for long are closed first.
      this.#folders.delete(name);
      this.#folders.set(name, known);
      return known;
    }
    if (known) this.#close(name);
    if (!this.#exists(name)) {
      const text = code ? 'no such folder: it may be created' : 'no such folder';
      throw new MailboxError('NONEXISTENT', text, { folder: name });
    }
    const engine = await this.layout.open(name);
    this.#folders.set(name, engine);
    this.#closeIdle();
    return engine;
  }

  #closeIdle(): void {
    for (const [name, engine] of this.#folders) {
      if (this.#folders.size <= openFoldersMax) return;
      if (!this.#held.has(engine)) this.#close(name);
    }
  }

  /** It will not be under that name any more: who has it open cannot go on. */
  #end(name: string): void {
    const engine = this.#folders.get(name);
    if (engine) engine.isGone = true;
    this.#close(name);
  }

  #close(name: string): void {
    const engine = this.#folders.get(name);
    this.#folders.delete(name);
    if (engine && !this.#held.has(engine)) engine.close();
  }

  /** The name as it is kept. @throws MailboxError CANNOT */
  #checked(folder: string): string {
    if (isInbox(folder)) return 'INBOX';
    try {
      checkFolderName(this.#options.format, folder);
      return folder;
    } catch (error) {
      if (error instanceof OperationalError && error.code === 'folder-name')
        throw new MailboxError('CANNOT', 'not a name that a folder can have');
      throw error;
    }
  }

  #exists(name: string): boolean {
    return name === 'INBOX' || this.layout.exists(name);
  }

  /** @throws MailboxError NONEXISTENT, CANNOT */
  #existing(folder: string): string {
    const name = this.#checked(folder);
    if (!this.#exists(name)) throw new MailboxError('NONEXISTENT', 'no such folder');
    return name;
  }
}

function changeOf(how: FlagChange['how'], bits: number): (flags: number) => number {
  if (how === 'add') return (flags) => (flags | bits) >>> 0;
  if (how === 'remove') return (flags) => (flags & ~bits) >>> 0;
  return () => bits;
}

/** @throws MailboxError UNAVAILABLE when the folder is gone */
async function refreshOpen(engine: FolderEngine): Promise<void> {
  await engine.refresh();
  if (engine.isGone) throw new MailboxError('NONEXISTENT', 'the folder is gone');
}

function uidsOf({ book: { state } }: FolderEngine): Uint32Array {
  return state.columns.uid.subarray(0, state.count);
}

function sizesOf(snapshot: Snapshot): { size: number; deletedStorage: number } {
  const { size: sizes, flags } = snapshot.data.columns;
  let size = 0;
  let deletedStorage = 0;
  for (let index = 0; index < snapshot.count; index += 1) {
    // A message that went while it was measured.
    const octets = Number.isNaN(sizes[index]!) ? 0 : sizes[index]!;
    size += octets;
    if (flags[index]! & deletedBit) deletedStorage += octets;
  }
  return { size, deletedStorage };
}

function parentsOf(name: string): string[] {
  const levels = name.split('/');
  return levels.slice(1).map((_, index) => levels.slice(0, index + 1).join('/'));
}
