/**
 * The files of the journal: segments are filled with zeros and synced, file and directory, before they are used, so that
 * a sync of records needs no metadata; a segment whose records are done is used again under a new name.
 *
 * `<generation>-<salt>.segment` holds records, `.done` beside it says which of them are done, `*.new` is being made.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fsync, mkdirSync, openSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { errnoOf } from '../../core/base/errors.ts';
import { journalSegmentsMax } from '../../core/base/limits/flow.ts';
import { storageError, storageErrorOf } from '../../core/base/storage-error.ts';
import { writeAll } from '../../core/base/write-all.ts';
import type { DirectorySync } from '../mailbox/directory-sync.ts';
import type { SegmentIdentity } from './journal-record.ts';

const syncFile = promisify(fsync);

/** A segment ready for records. */
export interface SegmentFile extends SegmentIdentity {
  readonly path: string;
  readonly fd: number;
}

/** A segment as found on disk. */
export interface FoundSegment extends SegmentIdentity {
  readonly path: string;
  readonly bytes: number;
}

export interface Segments {
  /** A segment that is ready, or undefined; then `prepared` is to be waited for. */
  take(): SegmentFile | undefined;
  readonly ready: number;
  /** Resolves when a segment is ready. @throws OperationalError `storage-full`, `storage-failed` */
  prepared(): Promise<void>;
  /**
   * Gives back a segment whose records are all done and synced; `reusable` unless a write to it failed. Its old name
   * is gone for good when this resolves. @throws system errors when that is in doubt
   */
  retire(segment: { path: string; fd?: number; bytes: number }, reusable: boolean): Promise<void>;
  close(): void;
}

export interface SegmentsOptions {
  readonly directory: string;
  readonly segmentBytes: number;
  readonly directorySync: DirectorySync;
}

/** Made when fewer are ready. */
const readyWanted = 1;
/** Kept for use when done with: what checkpoints hand back under load, so that none is filled with zeros then. */
const readyKept = 3;
/** After a failure to make a segment, mail that comes at once is refused without another try. */
const retryAfterMs = 250;

export function createSegments({ directory, segmentBytes, directorySync }: SegmentsOptions): Segments {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const found = findSegments(directory);
  let generation = Math.max(0, ...found.map((segment) => segment.generation));
  let count = found.length;
  const ready: SegmentFile[] = [];
  let preparing: Promise<void> | undefined;
  let failure: { error: unknown; at: number } | undefined;
  let closed = false;
  let waiters: (() => void)[] = [];
  for (const name of readdirSync(directory)) if (name.endsWith(unfinished)) rmSync(join(directory, name));

  function newIdentity(): SegmentIdentity & { path: string } {
    generation += 1;
    const salt = randomBytes(8);
    return { generation, salt, path: join(directory, segmentName(generation, salt)) };
  }

  function wake(): void {
    const woken = waiters;
    waiters = [];
    for (const waiter of woken) waiter();
  }

  async function prepareAll(): Promise<void> {
    try {
      while (ready.length < readyWanted && !closed) {
        if (count >= journalSegmentsMax)
          throw storageErrorOf('storage-full', 'journal is full', { segments: count });
        count += 1;
        const segment = await makeSegment(newIdentity(), segmentBytes, directorySync).catch(
          (error: unknown) => {
            count -= 1;
            throw error;
          },
        );
        if (closed) closeSync(segment.fd);
        else ready.push(segment);
      }
      failure = undefined;
    } catch (error) {
      failure = { error, at: performance.now() };
    } finally {
      preparing = undefined;
      wake();
    }
  }

  function prepare(): void {
    if (preparing || closed || ready.length >= readyWanted) return;
    if (failure && performance.now() - failure.at < retryAfterMs) return;
    preparing = prepareAll();
  }

  return {
    take() {
      const segment = ready.shift();
      prepare();
      return segment;
    },
    get ready() {
      return ready.length;
    },
    async prepared() {
      prepare();
      while (ready.length === 0 && preparing) await new Promise<void>((resolve) => waiters.push(resolve));
      if (ready.length === 0) throw storageError(failure?.error, 'prepare journal segment');
    },
    async retire({ path, fd, bytes }, reusable) {
      rmSync(doneName(path), { force: true });
      let name = path;
      let opened = fd;
      if (!closed && reusable && bytes === segmentBytes && ready.length < readyKept) {
        const identity = newIdentity();
        try {
          opened ??= openSync(path, 'r+');
          // A new name is a new salt: nothing that lies in the file is a record once the directory is synced.
          renameSync(path, identity.path);
          name = identity.path;
          await directorySync.sync(directory);
          ready.push({ ...identity, fd: opened });
          wake();
          return;
        } catch (error) {
          if (errnoOf(error) === undefined) throw error;
          // Not to be relied on: removed, and another is made when it is needed.
        }
      }
      if (opened !== undefined) closeSync(opened);
      rmSync(name, { force: true });
      count -= 1;
      await directorySync.sync(directory);
    },
    close() {
      closed = true;
      for (const { fd } of ready.splice(0)) closeSync(fd);
    },
  };
}

/** Segments on disk, oldest first. */
export function findSegments(directory: string): FoundSegment[] {
  const segments: FoundSegment[] = [];
  for (const name of readdirSync(directory)) {
    const match = /^(\d{12})-([0-9a-f]{16})\.segment$/.exec(name);
    if (!match) continue;
    const path = join(directory, name);
    const salt = Buffer.from(match[2]!, 'hex');
    segments.push({ path, generation: Number(match[1]), salt, bytes: statSync(path).size });
  }
  return segments.sort((a, b) => a.generation - b.generation);
}

/** The file that says which records of a segment are done. */
export function doneName(segmentPath: string): string {
  return segmentPath.replace(/segment$/, 'done');
}

const unfinished = '.new';
const fillBytes = 1024 * 1024;
const zeros = Buffer.alloc(fillBytes);

function segmentName(generation: number, salt: Buffer): string {
  return `${String(generation).padStart(12, '0')}-${salt.toString('hex')}.segment`;
}

/** All work happens in the thread pool; the directory is synced last, when the name is the final one. */
async function makeSegment(
  identity: SegmentIdentity & { path: string },
  segmentBytes: number,
  directorySync: DirectorySync,
): Promise<SegmentFile> {
  const temporary = `${identity.path}${unfinished}`;
  const fd = openSync(temporary, 'wx+', 0o600);
  try {
    for (let at = 0; at < segmentBytes; at += fillBytes) {
      await writeAll(fd, [zeros.subarray(0, Math.min(fillBytes, segmentBytes - at))], at);
    }
    await syncFile(fd);
    renameSync(temporary, identity.path);
    await Promise.all([
      directorySync.sync(dirname(identity.path)),
      directorySync.syncNamesTo(dirname(identity.path)),
    ]);
    return { ...identity, fd };
  } catch (error) {
    closeSync(fd);
    rmSync(temporary, { force: true });
    rmSync(identity.path, { force: true });
    throw error;
  }
}
