/** What was fetched of an account and lies there still: by UIDL (POP3) or UID (IMAP), so that it comes once. */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describeError, errnoOf, OperationalError } from '../../core/base/errors.ts';
import { fetchLimits } from '../../core/base/limits/outbound.ts';

/** One account's file, version 1. */
interface SeenFile {
  readonly version: 1;
  /** Folder (POP3: '') to what was fetched from it. */
  readonly folders: Record<string, FolderSeen>;
}

interface FolderSeen {
  /** RFC 9051 section 2.3.1.1: with another one the UIDs mean other messages. */
  readonly uidValidity: string;
  /** Each after a sign: + lies here, - was refused here for good. */
  readonly ids: string[];
}

/** What became of a message that was looked at. */
export type Fate = 'taken' | 'refused';

export class Seen {
  readonly #path: string;
  readonly #folders: Map<string, { uidValidity: string; ids: Set<string> }>;
  #unwritten = false;
  /** Of the monotonic clock. */
  #writtenAt = Number.NEGATIVE_INFINITY;

  /** @throws OperationalError `fetch-state` for a file that cannot be read: begun anew it would fetch all mail again */
  constructor(directory: string, account: string) {
    this.#path = join(directory, `${account}.json`);
    const { folders } = read(this.#path);
    this.#folders = new Map(
      Object.entries(folders).map(([name, { uidValidity, ids }]) => [
        name,
        { uidValidity, ids: new Set(ids) },
      ]),
    );
  }

  /** Begins to look at a folder: forgets what is there no more, and all of it when its UIDs mean something else now. */
  open(folder: string, uidValidity: string, present: readonly string[]): (id: string) => Fate | undefined {
    const known = this.#folders.get(folder);
    const ids = known?.uidValidity === uidValidity ? known.ids : new Set<string>();
    const there = new Set(present);
    const kept = new Set([...ids].filter((marked) => there.has(marked.slice(1))));
    this.#folders.set(folder, { uidValidity, ids: kept });
    return (id) => (kept.has(`+${id}`) ? 'taken' : kept.has(`-${id}`) ? 'refused' : undefined);
  }

  /**
   * Durable a moment later: the file is written whole, for all of a large mailbox at once.
   * @throws OperationalError `fetch-state`
   */
  add(folder: string, id: string, fate: Fate): void {
    this.#folders.get(folder)?.ids.add(`${fate === 'taken' ? '+' : '-'}${id}`);
    this.#unwritten = true;
    if (performance.now() - this.#writtenAt >= fetchLimits.seenWriteMs) this.flush();
  }

  /** Writes although nothing was added: where that fails nothing is to be taken, for it would come in each round. @throws as `flush` */
  prove(): void {
    this.#unwritten = true;
    this.flush();
  }

  /**
   * What was added is durable when it returns: to be called before anything is deleted there, and at the end.
   * @throws OperationalError `fetch-state`, temporary; another call tries again
   */
  flush(): void {
    if (!this.#unwritten) return;
    try {
      this.#write();
    } catch (error) {
      throw stateError(`${this.#path} cannot be written: ${describeError(error)}`, true, error);
    }
    this.#unwritten = false;
    this.#writtenAt = performance.now();
  }

  #write(): void {
    const folders = Object.fromEntries(
      [...this.#folders].map(([name, { uidValidity, ids }]) => [name, { uidValidity, ids: [...ids] }]),
    );
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    const temporary = `${this.#path}.${process.pid}.tmp`;
    const fd = openSync(temporary, 'w', 0o600);
    try {
      writeFileSync(fd, JSON.stringify({ version: 1, folders } satisfies SeenFile));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, this.#path);
    syncFolder(dirname(this.#path));
  }
}

function syncFolder(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function read(path: string): SeenFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { version: 1, folders: {} };
    throw stateError(`${path} cannot be read: ${describeError(error)}`, true, error);
  }
  try {
    const file = JSON.parse(text) as SeenFile;
    if (file.version === 1 && typeof file.folders === 'object') return file;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw stateError(`${path} cannot be read: move it away to fetch everything again`, false);
}

function stateError(text: string, temporary: boolean, cause?: unknown): OperationalError {
  return new OperationalError('fetch-state', text, { temporary, cause });
}
