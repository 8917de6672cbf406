/** Groups writes: all that is asked for within one turn of the event loop shares one transaction. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { describeError, OperationalError } from '../base/errors.ts';
import { isCorruption, isFull } from './sqlite-file.ts';

interface Waiting {
  /** Answer only once the commit is synced. */
  readonly durable: boolean;
  settle(): void;
  fail(error: unknown): void;
}

/**
 * One writer for one database. Work runs at once and in order of the calls; its promises are settled in that same
 * order, after the commit (and after `synced`, where given). When the commit fails everything of the group is
 * undone and rejects with an OperationalError that is temporary.
 */
export class CommitGroup {
  readonly #database: DatabaseSync;
  readonly #synced: (() => Promise<void>) | undefined;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #mark: StatementSync;
  readonly #release: StatementSync;
  readonly #undo: StatementSync;
  #waiting: Waiting[] = [];
  #timer: NodeJS.Immediate | undefined;
  #running = new Set<Promise<void>>();

  /** @param synced makes what was committed durable; its rejection fails the group that waits for it. */
  constructor(database: DatabaseSync, synced?: () => Promise<void>) {
    this.#database = database;
    this.#synced = synced;
    this.#begin = database.prepare('BEGIN IMMEDIATE');
    this.#commit = database.prepare('COMMIT');
    this.#mark = database.prepare('SAVEPOINT work');
    this.#release = database.prepare('RELEASE work');
    this.#undo = database.prepare('ROLLBACK TO work');
  }

  /** True while a transaction is open: reads would see what may yet be undone. */
  get open(): boolean {
    return this.#timer !== undefined;
  }

  /** Runs `work` inside the group's transaction, all or nothing; its answer comes after the commit, and the sync. */
  run<Answer>(work: () => Answer): Promise<Answer> {
    return this.#run(work, true);
  }

  /** As `run`, but answers after the commit, before the sync: for what a crash may undo. Out of order with `run`. */
  runUnsynced<Answer>(work: () => Answer): Promise<Answer> {
    return this.#run(work, false);
  }

  #run<Answer>(work: () => Answer, durable: boolean): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { durable, settle: () => {}, fail: reject };
      try {
        this.#openGroup();
        this.#waiting.push(waiting);
        this.#mark.run();
        const answer = work();
        this.#release.run();
        waiting.settle = () => resolve(answer);
      } catch (error) {
        const failure = writeFailure(error);
        waiting.settle = () => reject(failure);
        waiting.fail = () => reject(failure);
        if (!this.open) reject(failure);
        else this.#undoWork(failure);
      }
    });
  }

  /** Commits what is open and waits until everything asked for so far is settled. */
  async drain(): Promise<void> {
    if (this.#timer !== undefined) this.#finish();
    while (this.#running.size > 0) await Promise.allSettled([...this.#running]);
  }

  #openGroup(): void {
    if (this.#timer !== undefined) return;
    this.#begin.run();
    this.#timer = setImmediate(() => this.#finish());
  }

  /** Takes back one piece of work; a full disk or an I/O error may have ended the whole transaction already. */
  #undoWork(failure: unknown): void {
    if (this.#database.isTransaction) {
      this.#undo.run();
      this.#release.run();
      return;
    }
    this.#closeGroup();
    this.#failAll(this.#take(), failure);
  }

  #finish(): void {
    this.#closeGroup();
    const waiting = this.#take();
    try {
      this.#commit.run();
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      this.#failAll(waiting, writeFailure(error));
      return;
    }
    const unsynced = this.#synced === undefined ? waiting : waiting.filter(({ durable }) => !durable);
    for (const one of unsynced) one.settle();
    if (unsynced.length < waiting.length) this.#settleSynced(waiting.filter(({ durable }) => durable));
  }

  #settleSynced(waiting: readonly Waiting[]): void {
    const running: Promise<void> = this.#synced!()
      .then(
        () => {
          for (const one of waiting) one.settle();
        },
        (error) => this.#failAll(waiting, writeFailure(error)),
      )
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  #closeGroup(): void {
    if (this.#timer !== undefined) clearImmediate(this.#timer);
    this.#timer = undefined;
  }

  #take(): Waiting[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    return waiting;
  }

  #failAll(waiting: readonly Waiting[], failure: unknown): void {
    for (const one of waiting) one.fail(failure);
  }
}

/** A failed write as an OperationalError; a bug (TypeError, a bad statement) passes as it is. */
function writeFailure(error: unknown): unknown {
  if (error instanceof OperationalError) return error;
  if ((error as { code?: unknown } | undefined)?.code !== 'ERR_SQLITE_ERROR') return error;
  const code = isFull(error) ? 'store-full' : isCorruption(error) ? 'store-corrupt' : 'store-failed';
  return new OperationalError(code, `cannot write to the store: ${describeError(error)}`, {
    temporary: true,
    cause: error,
  });
}
