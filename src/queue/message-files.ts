/** The messages of the queue: one file per transaction, written once, octet for octet as in the source. */
import { createHash } from 'node:crypto';
import { closeSync, constants, mkdirSync, opendirSync, openSync, renameSync, unlinkSync } from 'node:fs';
import { copyFile, link, open, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../core/base/errors.ts';
import { storageError } from '../../core/base/storage-error.ts';
import { writeAll } from '../../core/base/write-all.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import { GroupSync } from './group-sync.ts';
import { RecentMessages } from './recent.ts';

/** Version of the files' format: 1 is the bare message, CRLF line ends, no envelope. Each message's row names its own. */
export const messageFormat = 1;
/** In the place of a format: there is no file yet, the message lies in the journal. */
export const unwritten = 0;

export class MessageFiles {
  readonly #directory: string;
  readonly #directoryFd: number;
  readonly #directorySync: GroupSync;
  readonly #writing = new Map<string, { readonly synced: boolean; readonly ended: Promise<void> }>();
  readonly #removing = new Map<string, Promise<void>>();
  /** How many are about to use a transaction's file: it is not removed meanwhile. */
  readonly #pins = new Map<string, number>();
  readonly #recent = new RecentMessages();

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#directoryFd = openSync(directory, 'r');
    this.#directorySync = new GroupSync(this.#directoryFd, 'all');
  }

  /** Keeps the file of a transaction from being removed until the answer is called. */
  pin(transactionId: string): () => void {
    this.#pins.set(transactionId, (this.#pins.get(transactionId) ?? 0) + 1);
    return () => {
      const left = this.#pins.get(transactionId)! - 1;
      if (left > 0) this.#pins.set(transactionId, left);
      else this.#pins.delete(transactionId);
    };
  }

  isPinned(transactionId: string): boolean {
    return this.#pins.has(transactionId);
  }

  /**
   * Writes the message, or shares a write that is under way. When it resolves the file is there, whole; with `synced`
   * also durable, name and content. Rejects with an OperationalError of the storage, leaving no file of its own.
   */
  async write(transactionId: string, source: MessageSource, synced = true): Promise<void> {
    const running = this.#writing.get(transactionId);
    if (running !== undefined) {
      if (running.synced === synced) return running.ended;
      await running.ended.catch(() => {});
      return this.write(transactionId, source, synced);
    }
    const ended = this.#write(transactionId, source, synced).finally(() =>
      this.#writing.delete(transactionId),
    );
    this.#writing.set(transactionId, { synced, ended });
    return ended;
  }

  /** Where the message lies, or undefined when its file is not there, or not as long as it was. */
  async source(transactionId: string, length: number): Promise<MessageSource | undefined> {
    const recent = this.#recent.get(transactionId, length);
    if (recent !== undefined) return recent;
    const path = this.path(transactionId);
    const found = await stat(path).catch((error) => {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    });
    return found?.size === length ? { kind: 'file', path, length } : undefined;
  }

  path(transactionId: string): string {
    return join(this.#directory, fileName(transactionId));
  }

  /** Nothing happens when it is gone already. A write of the same transaction waits for the removal. */
  remove(transactionId: string): Promise<void> {
    this.#recent.forget(transactionId);
    const removing = unlinkIfThere(this.path(transactionId)).finally(() =>
      this.#removing.delete(transactionId),
    );
    this.#removing.set(transactionId, removing);
    return removing;
  }

  /**
   * What a crash left behind: files for which no entry was promised. Unfinished ones are removed; of the others
   * `strays` decides by file name. Answers how many.
   */
  sweep(strays: { known(fileName: string): boolean; lostDirectory?: string }): number {
    let found = 0;
    const folder = opendirSync(this.#directory);
    try {
      for (let entry = folder.readSync(); entry !== null; entry = folder.readSync()) {
        if (!entry.isFile() || strays.known(entry.name)) continue;
        this.#sweepOne(entry.name, strays.lostDirectory);
        found++;
      }
    } finally {
      folder.closeSync();
    }
    return found;
  }

  close(): void {
    closeSync(this.#directoryFd);
  }

  #sweepOne(name: string, lostDirectory: string | undefined): void {
    const path = join(this.#directory, name);
    if (lostDirectory === undefined || name.endsWith('.tmp')) {
      removeIfThere(path);
      return;
    }
    mkdirSync(lostDirectory, { recursive: true, mode: 0o700 });
    renameSync(path, join(lostDirectory, name));
  }

  async #write(transactionId: string, source: MessageSource, synced: boolean): Promise<void> {
    const path = this.path(transactionId);
    const temporary = `${path}.tmp`;
    try {
      await this.#removing.get(transactionId);
      if (source.kind === 'memory') await writeBytes(temporary, source, synced);
      else await linkOrCopy(source.path, temporary, synced);
      await rename(temporary, path);
      // rename(2) leaves both names where they are links to one file.
      if (source.kind === 'file') await unlinkIfThere(temporary);
      if (synced) await this.#directorySync.sync();
      if (source.kind === 'memory') this.#recent.keep(transactionId, source);
    } catch (error) {
      await unlinkIfThere(temporary).catch(() => {});
      throw storageError(error, 'write queued message');
    }
  }
}

/** The transaction's id where it can be a file name, a hash of it otherwise. */
export function fileName(transactionId: string): string {
  const plain = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$/.test(transactionId);
  return plain
    ? `${transactionId}.eml`
    : `${createHash('sha256').update(transactionId).digest('hex')}.hash.eml`;
}

async function writeBytes(
  path: string,
  source: MessageSource & { kind: 'memory' },
  synced: boolean,
): Promise<void> {
  const handle = await anew(path, () => open(path, 'wx', 0o600));
  try {
    await writeAll(handle.fd, [new Uint8Array(source.buffer, source.offset, source.length)]);
    if (synced) await handle.datasync();
  } finally {
    await handle.close();
  }
}

/** A spool file never changes, so that a second name is as good as a copy; another file system needs the copy. */
async function linkOrCopy(from: string, to: string, synced: boolean): Promise<void> {
  try {
    await anew(to, () => link(from, to));
  } catch (error) {
    if (!['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP'].includes(errnoOf(error) ?? '')) throw error;
    await anew(to, () => copyFile(from, to, constants.COPYFILE_EXCL));
  }
  if (!synced) return;
  const handle = await open(to, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a name that a crash may have left: never written into, as it may be a link to a spool file. */
async function anew<Made>(path: string, make: () => Promise<Made>): Promise<Made> {
  try {
    return await make();
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    await unlink(path);
    return make();
  }
}

async function unlinkIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}
