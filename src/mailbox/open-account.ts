/** An account in the thread of its connections: calls to the threads that do the work, and the folders that are open. */
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { tryLock } from 'fs-native-extensions';
import type { AccountIndex } from './account-index.ts';
import { isInbox } from './folders.ts';
import type { Account, AccountChange, AccountOptions, AppendMessage, Folder, WatchScope } from './mailbox.ts';
import { MailboxError } from './mailbox-error.ts';
import { OpenFolder } from './open-folder.ts';
import { holdFolder, type SharedFolder } from './shared-folder.ts';
import type { Caller } from './threads/calls.ts';
import type { StoreCalls, StorePush } from './threads/store-calls.ts';
import { FileUpload } from './upload.ts';

export interface AccountThreads {
  readonly id: number;
  /** Absolute: directory for messages on their way in. */
  readonly uploads: string;
  /** Absolute. */
  readonly pop3LockFile: string;
  readonly store: Pick<Caller<StoreCalls, never>, 'call'>;
  readonly index: AccountIndex;
  isDead(): boolean;
}

interface Watcher {
  readonly listener: (change: AccountChange) => void;
  readonly scope: WatchScope;
  /** Folders held for it, and how to let them go. */
  readonly folders: Map<string, () => void>;
}

export class OpenAccount {
  readonly id: number;
  readonly #options: AccountOptions;
  readonly #threads: AccountThreads;
  readonly #folders = new Map<string, Promise<SharedFolder>>();
  readonly #byHandle = new Map<number, SharedFolder>();
  readonly #watchers = new Set<Watcher>();

  constructor(options: AccountOptions, threads: AccountThreads) {
    this.id = threads.id;
    this.#options = options;
    this.#threads = threads;
  }

  get isDead(): boolean {
    return this.#threads.isDead();
  }

  /** False when the folder is another account's. */
  takeSnapshot({ handle, data, gone }: StorePush & { kind: 'snapshot' }): boolean {
    const folder = this.#byHandle.get(handle);
    folder?.take(data, gone);
    return folder !== undefined;
  }

  tell(change: AccountChange): void {
    for (const watcher of this.#watchers) {
      watcher.listener(change);
      if (change.kind === 'folders') this.#follow(watcher);
    }
  }

  /** As one user of it sees the account. @param close when that user has enough */
  shared(close: () => void): Account {
    const { store, id, uploads } = this.#threads;
    const { user, format } = this.#options;
    let open = true;
    return {
      user,
      format,
      list: () => store.call('list', [id]),
      create: (folder, uses = []) => store.call('create', [id, folder, uses]),
      delete: (folder) => store.call('delete', [id, folder]),
      rename: (from, to) => store.call('rename', [id, from, to]),
      subscribe: (folder) => store.call('subscribe', [id, folder, true]),
      unsubscribe: (folder) => store.call('subscribe', [id, folder, false]),
      setSpecialUse: (folder, uses) => store.call('setSpecialUse', [id, folder, uses]),
      status: (folder, wanted = {}) => store.call('status', [id, folder, wanted]),
      openFolder: (folder, options) => this.#openFolder(folder, options.readOnly),
      upload: async () => new FileUpload(uploads),
      append: (folder, messages) => this.#append(folder, messages),
      quota: () => store.call('quota', [id]),
      metadata: (folder) => store.call('metadata', [id, folder]),
      setMetadata: (folder, entries) => store.call('setMetadata', [id, folder, entries]),
      acl: (folder) => store.call('acl', [id, folder]),
      setAcl: (folder, identifier, rights) => store.call('setAcl', [id, folder, identifier, rights]),
      watch: (listener, scope) => this.#watch(listener, scope),
      lockForPop3: async () => this.#lockForPop3(),
      close: () => {
        if (!open) return;
        open = false;
        close();
      },
    };
  }

  async end(): Promise<void> {
    for (const watcher of this.#watchers) this.#unfollow(watcher);
    // What is read in advance for them stops here.
    for (const folder of this.#byHandle.values()) folder.end();
    if (this.isDead) return;
    await this.#threads.store.call('closeAccount', [this.id]);
    await this.#threads.index.close();
  }

  async #openFolder(name: string, readOnly: boolean): Promise<Folder> {
    const shared = await this.#hold(name);
    if (!readOnly) await this.#threads.store.call('write', [shared.handle, 1]);
    shared.opened();
    return new OpenFolder(shared, readOnly, () => {
      if (!readOnly) this.#background(this.#threads.store.call('write', [shared.handle, -1]));
      this.#release(shared);
    });
  }

  /** The folder as all sessions of this process share it. */
  async #hold(name: string): Promise<SharedFolder> {
    const key = isInbox(name) ? 'INBOX' : name;
    const known = this.#folders.get(key);
    if (known) {
      const shared = await known;
      if (!shared.isGone) {
        shared.holders += 1;
        await shared.refresh();
        if (!shared.isGone) return shared;
        this.#release(shared);
      }
    }
    const opening = holdFolder(key, this.#threads);
    this.#folders.set(key, opening);
    try {
      const shared = await opening;
      this.#byHandle.set(shared.handle, shared);
      shared.holders += 1;
      shared.onChange(() => this.tell({ kind: 'messages', folder: key }));
      return shared;
    } catch (error) {
      if (this.#folders.get(key) === opening) this.#folders.delete(key);
      throw error;
    }
  }

  #release(shared: SharedFolder): void {
    shared.holders -= 1;
    if (shared.holders > 0) return;
    shared.end();
    this.#byHandle.delete(shared.handle);
    this.#folders.get(shared.name)?.then((current) => {
      if (current === shared) this.#folders.delete(shared.name);
    });
    this.#background(this.#threads.store.call('release', [shared.handle]));
  }

  /** What nobody waits for; where the thread is gone, so is what it held. */
  #background(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      if (!(error instanceof MailboxError)) throw error;
    });
  }

  async #append(folder: string, messages: readonly AppendMessage[]) {
    const now = Date.now();
    // Their syncs run side by side.
    const received = await Promise.all(
      messages.map(async ({ upload, flags, internalDate = now }) => {
        const file = upload as FileUpload;
        return { path: file.path, ...(await file.finish()), flags, internalDate };
      }),
    );
    const appended = await this.#threads.store.call('append', [this.id, folder, received]);
    for (const { upload } of messages) (upload as FileUpload).taken();
    return appended;
  }

  async #watch(listener: Watcher['listener'], scope: WatchScope): Promise<() => void> {
    const watcher: Watcher = { listener, scope, folders: new Map() };
    this.#watchers.add(watcher);
    await this.#followNow(watcher);
    return () => {
      this.#watchers.delete(watcher);
      this.#unfollow(watcher);
    };
  }

  /** Opens what is in scope: a folder that is open is watched. */
  #follow(watcher: Watcher): void {
    this.#background(this.#followNow(watcher));
  }

  async #followNow(watcher: Watcher): Promise<void> {
    const { scope } = watcher;
    if (scope === 'none') return;
    const listed = await this.#threads.store.call('list', [this.id]);
    const there = new Set(listed.filter(({ exists }) => exists).map(({ name }) => name));
    const wanted = [...there].filter((name) => {
      if (typeof scope === 'string') return scope === 'all' || name === 'INBOX';
      return scope.has(name);
    });
    for (const name of wanted) {
      if (watcher.folders.has(name)) continue;
      const shared = await this.#hold(name);
      if (!this.#watchers.has(watcher)) this.#release(shared);
      else watcher.folders.set(name, () => this.#release(shared));
    }
    for (const [name, release] of watcher.folders) {
      if (there.has(name)) continue;
      watcher.folders.delete(name);
      release();
    }
  }

  #unfollow(watcher: Watcher): void {
    for (const release of watcher.folders.values()) release();
    watcher.folders.clear();
  }

  /** The lock belongs to the open file: sessions of this process and of others exclude one another. */
  #lockForPop3(): (() => void) | undefined {
    mkdirSync(dirname(this.#threads.pop3LockFile), { recursive: true, mode: 0o700 });
    const fd = openSync(this.#threads.pop3LockFile, 'a', 0o600);
    if (tryLock(fd)) return () => closeSync(fd);
    closeSync(fd);
    return undefined;
  }
}
