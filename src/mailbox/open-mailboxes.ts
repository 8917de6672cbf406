/**
 * The mailboxes of this process: threads that hold folders, two that know their messages, and accounts as the protocols use
 * them. An account lives in one store thread, so that its folders are changed by one hand.
 *
 *     connections ── calls ──> store threads   Maildir, mbox, UIDs, flags     (files, folders.db)
 *          │  <── snapshots ──
 *          └── calls ──> index threads         headers, texts, searches       (files, texts.db)
 *                                              structures                     (files, structures.db)
 */
import { extname } from 'node:path';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { describeError } from '../../core/base/errors.ts';
import { accountLingerMs, mailboxThreadsHeapMiB } from '../../core/base/limits/mailbox.ts';
import type { Log } from '../../core/base/log.ts';
import { AccountIndex } from './account-index.ts';
import type { Account, AccountOptions, Mailboxes } from './mailbox.ts';
import { MailboxError } from './mailbox-error.ts';
import { OpenAccount } from './open-account.ts';
import { Caller, type Handlers } from './threads/calls.ts';
import type { IndexCalls, IndexFile } from './threads/index-calls.ts';
import type { StoreCalls, StorePush, StoreThreadOptions } from './threads/store-calls.ts';
import type { LogPush } from './threads/thread-log.ts';

export interface MailboxesOptions extends StoreThreadOptions {
  readonly log: Log;
  /** Threads that hold folders; one is enough for two cores. */
  readonly storeThreads?: number;
  /** For tests, which let threads die. */
  readonly startWorker?: (file: URL, options: WorkerOptions) => Worker;
}

interface Thread<H extends Handlers, Push> {
  readonly caller: Caller<H, Push>;
  /** The thread died: what it held is gone with it. */
  ended: boolean;
  end(): Promise<void>;
}

export function openMailboxes({
  log,
  storeThreads = 1,
  startWorker = (file, options) => new Worker(file, options),
  ...options
}: MailboxesOptions): Mailboxes {
  const accounts = new Map<string, { account: Promise<OpenAccount>; users: number }>();
  const byId = new Map<number, OpenAccount>();
  const ending = new Set<Promise<void>>();
  const stores: Thread<StoreCalls, StorePush>[] = [];
  const indexes = new Map<IndexFile, Thread<IndexCalls, never>>();
  let nextId = 1;
  let closed = false;

  function start(name: string, more: object = {}): Worker {
    return startWorker(new URL(`./threads/${name}${extname(import.meta.url)}`, import.meta.url), {
      workerData: { ...options, ...more },
      resourceLimits: { maxOldGenerationSizeMb: mailboxThreadsHeapMiB },
    });
  }

  /** Threads start when they are needed, and again when one has died. */
  function storeThread(user: string): Thread<StoreCalls, StorePush> {
    const at = placeOf(user, storeThreads);
    const running = stores[at];
    if (running && !running.ended) return running;
    stores[at] = watchThread('store-thread', start('store-thread'), log, heard);
    return stores[at]!;
  }

  function indexThread(file: IndexFile): Thread<IndexCalls, never> {
    const running = indexes.get(file);
    if (running && !running.ended) return running;
    const thread = watchThread<IndexCalls, never>(
      'index-thread',
      start('index-thread', { file }),
      log,
      () => {},
    );
    indexes.set(file, thread);
    return thread;
  }

  function heard(push: StorePush): void {
    if (push.kind === 'snapshot') {
      for (const account of byId.values()) if (account.takeSnapshot(push)) return;
    } else {
      byId
        .get(push.account)
        ?.tell(push.kind === 'folders' ? { kind: 'folders' } : { kind: 'metadata', folder: push.folder });
    }
  }

  async function open(account: AccountOptions): Promise<OpenAccount> {
    const id = nextId++;
    const store = storeThread(account.user);
    const searcher = indexThread('texts.db');
    const structures = indexThread('structures.db');
    const places = await store.caller.call('openAccount', [id, account]);
    const index = new AccountIndex(id, searcher.caller, structures.caller);
    await index.open(account.user);
    const opened = new OpenAccount(account, {
      id,
      ...places,
      store: store.caller,
      index,
      isDead: () => store.ended || searcher.ended || structures.ended,
    });
    byId.set(id, opened);
    return opened;
  }

  async function openShared(options_: AccountOptions): Promise<Account> {
    if (closed) throw new MailboxError('UNAVAILABLE', 'the server ends');
    const known = accounts.get(options_.user);
    const alive = known && !(await known.account).isDead ? known : undefined;
    const entry = alive ?? { account: open(options_), users: 0 };
    accounts.set(options_.user, entry);
    entry.users += 1;
    try {
      const account = await entry.account;
      return account.shared(() => {
        entry.users -= 1;
        // Clients come again and again: what was read of the folders serves the next one too.
        if (entry.users === 0)
          setTimeout(() => endIdle(options_.user, entry, account), accountLingerMs).unref();
      });
    } catch (error) {
      accounts.delete(options_.user);
      throw error;
    }
  }

  function endIdle(user: string, entry: { readonly users: number }, account: OpenAccount): void {
    if (entry.users > 0 || !byId.delete(account.id)) return;
    if (accounts.get(user) === entry) accounts.delete(user);
    end(account);
  }

  /** What is asked of an account's threads is answered before they end. */
  function end(account: OpenAccount): void {
    const work = account
      .end()
      .catch((error: unknown) => log.warn('account-close-failed', { error: describeError(error) }))
      .finally(() => ending.delete(work));
    ending.add(work);
  }

  return {
    openAccount: openShared,
    async close() {
      closed = true;
      const open = [...byId.values()];
      byId.clear();
      for (const account of open) end(account);
      await Promise.all(ending);
      await Promise.all([...stores, ...indexes.values()].map((thread) => thread?.end()));
    },
  };
}

/** The same thread for a user at all times. */
function placeOf(user: string, threads: number): number {
  let sum = 0;
  for (let at = 0; at < user.length; at += 1) sum = (sum * 31 + user.charCodeAt(at)) >>> 0;
  return sum % threads;
}

function watchThread<H extends Handlers, Push>(
  name: string,
  worker: Worker,
  log: Log,
  pushed: (push: Push) => void,
): Thread<H, Push> {
  const caller = new Caller<H, Push | LogPush>(worker, (push) => {
    if (isLogLine(push)) log[push.level](push.event, push.facts);
    else pushed(push);
  });
  const thread = { caller, ended: false, end: () => worker.terminate().then(() => {}) };
  worker.on('error', (error) =>
    log.error('mailbox-thread-failed', { thread: name, error: describeError(error) }),
  );
  worker.on('exit', () => {
    thread.ended = true;
    caller.end();
  });
  return thread;
}

function isLogLine(push: unknown): push is LogPush {
  return (push as LogPush).kind === 'log';
}
