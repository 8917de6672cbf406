/** What a store thread answers: accounts and folders by number, everything about them as plain values. */
import { hash } from 'node:crypto';
import { join } from 'node:path';
import type { Clock } from '../../../core/base/clock.ts';
import { keywordsMax } from '../../../core/base/limits/mailbox.ts';
import type { Log } from '../../../core/base/log.ts';
import { AccountEngine } from '../account-engine.ts';
import { createDirectorySync } from '../directory-sync.ts';
import type { FolderEngine, MessagePlace, ReceivedMessage } from '../engine.ts';
import { FolderIndex } from '../index/folder-index.ts';
import { JoinedMessages } from '../joined-messages.ts';
import type { AccountOptions, FilledColumn, FlagChange, SpecialUse } from '../mailbox.ts';
import { createQuotaLedger } from '../quota.ts';
import { octetsAt } from '../read-place.ts';
import type { SnapshotData } from '../snapshot.ts';
import { Transfer } from './calls.ts';
import { FolderWatches, watchPaths } from './watches.ts';

export interface StoreThreadOptions {
  /** Absolute: holds a folder for each account. */
  readonly indexDirectory: string;
  readonly tombstones?: string;
}

export type StorePush =
  | {
      readonly kind: 'snapshot';
      readonly handle: number;
      readonly data: SnapshotData;
      readonly gone: boolean;
    }
  | { readonly kind: 'folders' | 'metadata'; readonly account: number; readonly folder: string };

export interface HeldFolder {
  readonly handle: number;
  readonly mailboxId: string;
  readonly data: SnapshotData;
}

interface OpenAccount {
  readonly id: number;
  readonly engine: AccountEngine;
  readonly index: FolderIndex;
  readonly endWatch: () => void;
}

interface OpenFolder {
  readonly handle: number;
  readonly account: OpenAccount;
  readonly engine: FolderEngine;
  sent: SnapshotData | undefined;
  sentGone: boolean;
}

export type StoreCalls = ReturnType<typeof createStoreCalls>;

export function createStoreCalls(
  { indexDirectory, tombstones }: StoreThreadOptions,
  clock: Clock,
  log: Log,
  push: (push: StorePush) => void,
) {
  const accounts = new Map<number, OpenAccount>();
  const folders = new Map<number, OpenFolder>();
  const directorySync = createDirectorySync();
  let nextHandle = 1;

  const watches = new FolderWatches<OpenFolder>(async (folder) => {
    await folder.account.engine.refresh(folder.engine);
    tell(folder.account);
  }, log);

  function accountOf(id: number): OpenAccount {
    const account = accounts.get(id);
    if (!account) throw new Error(`no account ${id}`);
    return account;
  }

  function folderOf(handle: number): OpenFolder {
    const folder = folders.get(handle);
    if (!folder) throw new Error(`no folder ${handle}`);
    return folder;
  }

  /** Sends what changed in the account's folders: before the answer to the call that changed it. */
  function tell(account: OpenAccount): void {
    for (const folder of folders.values()) {
      if (folder.account !== account) continue;
      const data = folder.engine.book.state.publish();
      const gone = folder.engine.isGone;
      if (data === folder.sent && gone === folder.sentGone) continue;
      folder.sent = data;
      folder.sentGone = gone;
      push({ kind: 'snapshot', handle: folder.handle, data, gone });
    }
  }

  async function changing<T>(account: OpenAccount, work: () => Promise<T> | T): Promise<T> {
    try {
      return await work();
    } finally {
      tell(account);
    }
  }

  async function changingFolders<T>(
    id: number,
    folder: string,
    work: (engine: AccountEngine) => Promise<T> | T,
  ): Promise<T> {
    const account = accountOf(id);
    const result = await changing(account, () => work(account.engine));
    push({ kind: 'folders', account: id, folder });
    return result;
  }

  return {
    openAccount(id: number, options: AccountOptions): { uploads: string; pop3LockFile: string } {
      const directory = join(indexDirectory, indexName(options.user));
      const index = new FolderIndex(join(directory, 'folders.db'), log);
      const engine = new AccountEngine({
        account: options,
        context: { path: options.path, index, clock, log, directorySync, tombstones },
        ledger: createQuotaLedger({ format: options.format, clock }),
      });
      const told = () => push({ kind: 'folders', account: id, folder: '' });
      const endWatch = watchPaths(engine.layout.watched, told, log, engine.layout.isFolderName);
      accounts.set(id, { id, engine, index, endWatch });
      return { uploads: engine.layout.uploads, pop3LockFile: join(directory, 'pop3.lock') };
    },
    async closeAccount(id: number): Promise<void> {
      const account = accountOf(id);
      accounts.delete(id);
      account.endWatch();
      await account.engine.close();
      account.index.close();
    },

    list: (id: number) => accountOf(id).engine.list(),
    create: (id: number, folder: string, uses: readonly SpecialUse[]) =>
      changingFolders(id, folder, (engine) => engine.create(folder, uses)),
    delete: (id: number, folder: string) => changingFolders(id, folder, (engine) => engine.delete(folder)),
    rename: (id: number, from: string, to: string) =>
      changingFolders(id, from, (engine) => engine.rename(from, to)),
    subscribe: (id: number, folder: string, subscribed: boolean) =>
      changingFolders(id, folder, (engine) => engine.subscribe(folder, subscribed)),
    setSpecialUse: (id: number, folder: string, uses: readonly SpecialUse[]) =>
      changingFolders(id, folder, (engine) => engine.setSpecialUse(folder, uses)),
    status: (id: number, folder: string, wanted: { readonly size?: boolean }) =>
      changing(accountOf(id), () => accountOf(id).engine.status(folder, wanted)),
    quota: (id: number) => accountOf(id).engine.quota(),
    metadata: (id: number, folder: string) => accountOf(id).engine.metadata(folder),
    setMetadata(id: number, folder: string, entries: ReadonlyMap<string, string | undefined>): void {
      accountOf(id).engine.setMetadata(folder, entries);
      push({ kind: 'metadata', account: id, folder });
    },
    acl: (id: number, folder: string) => accountOf(id).engine.acl(folder),
    setAcl: (id: number, folder: string, identifier: string, rights: string | undefined) =>
      accountOf(id).engine.setAcl(folder, identifier, rights),
    append: (id: number, folder: string, messages: readonly ReceivedMessage[]) =>
      changing(accountOf(id), () => accountOf(id).engine.append(folder, messages)),

    async hold(id: number, name: string): Promise<HeldFolder> {
      const account = accountOf(id);
      const engine = await account.engine.hold(name);
      const folder = {
        handle: nextHandle++,
        account,
        engine,
        sent: engine.book.state.publish(),
        sentGone: false,
      };
      folders.set(folder.handle, folder);
      watches.add(folder, engine);
      return { handle: folder.handle, mailboxId: engine.book.mailboxId, data: folder.sent };
    },
    /** Sessions that have it open for writing: one more, or one less. */
    async write(handle: number, change: 1 | -1): Promise<void> {
      const { engine, account } = folderOf(handle);
      engine.writers += change;
      if (change > 0) await changing(account, () => account.engine.refresh(engine));
    },
    release(handle: number): void {
      const folder = folderOf(handle);
      folders.delete(handle);
      watches.remove(folder);
      folder.account.engine.release(folder.engine);
    },
    async refresh(handle: number, how?: 'surely'): Promise<void> {
      const { account, engine } = folderOf(handle);
      await changing(account, () => account.engine.refresh(engine, how));
    },
    claimRecent(handle: number, end: number): void {
      const { account, engine } = folderOf(handle);
      engine.book.claimRecent(end);
      tell(account);
    },
    store(handle: number, uids: readonly number[], change: FlagChange, unchangedSince: number | undefined) {
      const { account, engine } = folderOf(handle);
      return changing(account, () => account.engine.store(engine, uids, change, unchangedSince));
    },
    expunge(handle: number, uids: readonly number[] | undefined, whatever: boolean) {
      const { account, engine } = folderOf(handle);
      return changing(account, () => account.engine.expunge(engine, uids, whatever));
    },
    transfer(handle: number, uids: readonly number[], target: string, how: 'copy' | 'move') {
      const { account, engine } = folderOf(handle);
      return changing(account, () => account.engine.transfer(engine, uids, target, how));
    },
    fill(handle: number, uids: readonly number[], columns: readonly FilledColumn[]): SnapshotData {
      const { account, engine } = folderOf(handle);
      account.engine.fill(engine, uids, columns);
      tell(account);
      return engine.book.state.publish();
    },
    /** Another thread filled in their sizes. */
    filled(handle: number, uids: readonly number[]): void {
      const { engine } = folderOf(handle);
      for (const uid of uids) engine.book.filled(uid);
    },
    vanishedSince: (handle: number, modseq: number) => folderOf(handle).engine.book.expungedSince(modseq),
    uidls: (handle: number, uids: readonly number[]) => {
      const { engine } = folderOf(handle);
      return uids.map((uid) => engine.uidlOf(uid));
    },
    /** Where their octets lie at this moment; undefined for those that are gone. */
    places: (handle: number, uids: readonly number[]): (MessagePlace | undefined)[] => {
      const { engine } = folderOf(handle);
      return uids.map((uid) => engine.placeOf(uid));
    },
    /** From the first on as many messages as fit, one at least. */
    async read(handle: number, uids: readonly number[], part: 'all' | 'header', octetsMax: number) {
      const { account, engine } = folderOf(handle);
      const joined = new JoinedMessages(uids.length, octetsMax);
      for (const uid of uids) {
        const stored = await readNow(account, engine, uid);
        const wanted = stored && part === 'header' ? headerOf(stored) : stored;
        if (!joined.add(wanted)) break;
      }
      return new Transfer(joined.read, [joined.read.octets.buffer]);
    },
  };

  /** A file that another program renamed just now is found again. */
  async function readNow(
    account: OpenAccount,
    engine: FolderEngine,
    uid: number,
  ): Promise<Uint8Array | undefined> {
    const place = engine.placeOf(uid);
    const octets = place && octetsAt(place);
    if (octets || engine.book.state.indexOf(uid) < 0) return octets;
    await changing(account, () => account.engine.refresh(engine, 'surely'));
    const found = engine.placeOf(uid);
    return found && octetsAt(found);
  }
}

/** Keywords fit as long as there are letters. */
export function acceptsKeywords({ keywords }: SnapshotData): boolean {
  return keywords.filter((keyword) => keyword !== '').length < keywordsMax;
}

/** A user's name as a directory: another one for every name. */
export function indexName(user: string): string {
  const name = encodeURIComponent(user).replaceAll('.', '%2E');
  return name.length <= 200 ? name : hash('sha256', user);
}

/** Up to and with the empty line. */
function headerOf(octets: Uint8Array): Uint8Array {
  const view = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
  const lf = view.indexOf('\n\n');
  const crlf = view.indexOf('\r\n\r\n');
  if (view[0] === 10) return view.subarray(0, 1);
  const ends = [lf < 0 ? view.length : lf + 2, crlf < 0 ? view.length : crlf + 4];
  return view.subarray(0, Math.min(...ends));
}
