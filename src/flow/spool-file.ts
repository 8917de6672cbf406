/**
 * A spool file while it is written: asynchronous writes in order, bounded memory, both checksums on the way. Octets are
 * gathered in a few buffers that are used again and again: the chunks they came in can go at once, while those that wait
 * for a write would grow old and pile up by tens of MiB before the garbage collector looks at them.
 */
import { createHash } from 'node:crypto';
import { close, open, unlink } from 'node:fs';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { passedOctets } from '../../core/base/collect-young.ts';
import { storageError } from '../../core/base/storage-error.ts';
import { writeAll } from '../../core/base/write-all.ts';

const openFile = promisify(open);
/** One write at a time, while the next buffers fill. */
const bufferBytes = 128 * 1024;
const sparesMax = 3;

export class SpoolFile {
  readonly path: string;
  readonly #pendingBytesMax: number;
  readonly #hash = createHash('sha256');
  #crc32 = 0;
  /** Full buffers that wait for their write, in order. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #gathering: Buffer | undefined;
  #gathered = 0;
  readonly #spare: Buffer[] = [];
  /** The one write loop, while there is something to write. Never rejects: a failure is kept in #error. */
  #writing: Promise<void> | undefined;
  #fd: number | undefined;
  #error: unknown;

  constructor(path: string, pendingBytesMax: number) {
    this.path = path;
    this.#pendingBytesMax = pendingBytesMax;
  }

  /** Copies the chunk. A promise: wait before the next; it never rejects, `finish` tells of failures. */
  write(chunk: Uint8Array): void | Promise<void> {
    if (this.#error !== undefined) return undefined;
    this.#crc32 = crc32(chunk, this.#crc32);
    this.#hash.update(chunk);
    passedOctets(chunk.length);
    for (let at = 0; at < chunk.length; ) {
      this.#gathering ??= this.#spare.pop() ?? Buffer.allocUnsafeSlow(bufferBytes);
      const piece = chunk.subarray(at, at + bufferBytes - this.#gathered);
      this.#gathering.set(piece, this.#gathered);
      this.#gathered += piece.length;
      at += piece.length;
      if (this.#gathered === bufferBytes) this.#queueGathered();
    }
    if (this.#pending.length > 0) this.#writing ??= this.#writeAll();
    return this.#pendingBytes > this.#pendingBytesMax ? this.#writing : undefined;
  }

  /** @throws OperationalError `storage-full` or `storage-failed`; the file is removed then */
  async finish(): Promise<{ crc32: number; sha256: Uint8Array }> {
    this.#queueGathered();
    // What was queued while the loop wrote its last is left to another one.
    while (this.#writing ?? (this.#pending.length > 0 || this.#fd === undefined)) {
      this.#writing ??= this.#writeAll();
      await this.#writing;
      if (this.#error !== undefined) break;
    }
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

  #queueGathered(): void {
    if (this.#gathering === undefined) return;
    this.#pending.push(this.#gathering.subarray(0, this.#gathered));
    this.#pendingBytes += this.#gathered;
    this.#gathering = undefined;
    this.#gathered = 0;
  }

  async #writeAll(): Promise<void> {
    try {
      this.#fd ??= await openFile(this.path, 'wx', 0o600);
      while (this.#pending.length > 0) {
        const buffers = this.#pending;
        this.#pending = [];
        await writeAll(this.#fd, buffers);
        for (const buffer of buffers) {
          this.#pendingBytes -= buffer.length;
          if (this.#spare.length < sparesMax && buffer.length === bufferBytes) this.#spare.push(buffer);
        }
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
