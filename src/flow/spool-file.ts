/** A spool file while it is written: asynchronous writes in order, bounded memory, both checksums on the way. */
import { createHash } from 'node:crypto';
import { close, open, unlink } from 'node:fs';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { passedOctets } from '../../core/base/collect-young.ts';
import { storageError } from '../../core/base/storage-error.ts';
import { writeAll } from '../../core/base/write-all.ts';

const openFile = promisify(open);

export class SpoolFile {
  readonly path: string;
  readonly #pendingBytesMax: number;
  readonly #hash = createHash('sha256');
  #crc32 = 0;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  /** The one write loop, while there is something to write. Never rejects: a failure is kept in #error. */
  #writing: Promise<void> | undefined;
  #fd: number | undefined;
  #error: unknown;

  constructor(path: string, pendingBytesMax: number) {
    this.path = path;
    this.#pendingBytesMax = pendingBytesMax;
  }

  /** Keeps the chunk until it is written. A promise: wait before the next; it never rejects, `finish` tells of failures. */
  write(chunk: Uint8Array): void | Promise<void> {
    if (this.#error !== undefined) return undefined;
    this.#crc32 = crc32(chunk, this.#crc32);
    this.#hash.update(chunk);
    passedOctets(chunk.length);
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    this.#writing ??= this.#writeAll();
    return this.#pendingBytes > this.#pendingBytesMax ? this.#writing : undefined;
  }

  /** @throws OperationalError `storage-full` or `storage-failed`; the file is removed then */
  async finish(): Promise<{ crc32: number; sha256: Uint8Array }> {
    await (this.#writing ?? this.#writeAll());
    this.#close();
    if (this.#error !== undefined) {
      this.#remove();
      throw storageError(this.#error, 'write spool file');
    }
    return { crc32: this.#crc32, sha256: this.#hash.digest() };
  }

  abort(): void {
    this.#pending = [];
    void (this.#writing ?? Promise.resolve()).then(() => {
      this.#close();
      this.#remove();
    });
  }

  async #writeAll(): Promise<void> {
    try {
      this.#fd ??= await openFile(this.path, 'wx', 0o600);
      while (this.#pending.length > 0) {
        const chunks = this.#pending;
        this.#pending = [];
        await writeAll(this.#fd, chunks);
        for (const chunk of chunks) this.#pendingBytes -= chunk.length;
      }
    } catch (error) {
      this.#error = error;
      this.#pending = [];
    }
    this.#writing = undefined;
  }

  #close(): void {
    if (this.#fd !== undefined) close(this.#fd, () => undefined);
    this.#fd = undefined;
  }

  #remove(): void {
    unlink(this.path, () => undefined);
  }
}
