/** Octets too large for a record: files beside the segments, synced, file and directory, before the record that names them. */
import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, rmSync, statSync } from 'node:fs';
import { copyFile, link, open } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../core/base/errors.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { DirectorySync } from '../mailbox/directory-sync.ts';
import type { JournalFile } from './plan-text.ts';

export interface JournalFiles {
  readonly directory: string;
  /** Takes over a spool file: by a hard link where the file system can, else by a copy. @throws system errors */
  keepFile(id: string, path: string, length: number, sha256: Uint8Array | undefined): Promise<JournalFile>;
  /** @throws system errors */
  keepBytes(id: string, bytes: Uint8Array): Promise<JournalFile>;
  /** Where a kept message can be read until its record is done. */
  sourceOf(file: JournalFile): MessageSource;
  remove(name: string): void;
}

export function createJournalFiles(directory: string, directorySync: DirectorySync): JournalFiles {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  let counter = 0;
  // Ids are of our making; whatever they hold, the name stays in the directory.
  const nextName = (id: string) => {
    counter += 1;
    return `${id.replace(/[^A-Za-z0-9]/g, '-').slice(0, 100)}-${process.pid}-${counter}.message`;
  };

  async function synced(name: string, make: (path: string) => Promise<void>): Promise<void> {
    const path = join(directory, name);
    try {
      await make(path);
      await Promise.all([directorySync.sync(directory), directorySync.syncNamesTo(directory)]);
    } catch (error) {
      rmSync(path, { force: true });
      throw error;
    }
  }

  return {
    directory,
    async keepFile(id, path, length, sha256) {
      const name = nextName(id);
      await synced(name, async (kept) => {
        await linkOrCopy(path, kept);
        await syncFile(kept);
      });
      const digest = sha256 ?? (await digestOf(path));
      return { name, length, sha256: Buffer.from(digest).toString('hex') };
    },
    async keepBytes(id, bytes) {
      const name = nextName(id);
      await synced(name, async (kept) => {
        const file = await open(kept, 'wx', 0o600);
        try {
          await file.writeFile(bytes);
          await file.datasync();
        } finally {
          await file.close();
        }
      });
      return { name, length: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    },
    sourceOf: ({ name, length }) => ({ kind: 'file', path: join(directory, name), length }),
    remove(name) {
      rmSync(join(directory, name), { force: true });
    },
  };
}

/** True when the file holds what the record says. @throws system errors other than ENOENT */
export async function isWhole(directory: string, file: JournalFile): Promise<boolean> {
  const path = join(directory, file.name);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.size !== file.length) return false;
  return Buffer.from(await digestOf(path)).toString('hex') === file.sha256;
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    // Another file system, or one without hard links.
    if (!['EXDEV', 'EPERM', 'ENOTSUP', 'EMLINK'].includes(errnoOf(error) ?? '')) throw error;
    await copyFile(from, to);
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function digestOf(path: string): Promise<Uint8Array> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest();
}
