/**
 * Writes lines to a file descriptor beside everything else: whoever writes never waits, memory is bounded, and a full
 * disk or a reader that is gone ends nothing. What cannot be written at the very end is lost; it is tried once.
 */
import {
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  lchownSync,
  mkdirSync,
  openSync,
  write,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { logBufferBytesMax } from './limits/process.ts';

export interface FileOwner {
  readonly uid: number;
  readonly gid: number;
}

export interface LineWriterOptions {
  /** A descriptor that is open and stays so, or the absolute path of a file to append to, mode 0640. */
  readonly to: number | string;
  /** Whose the file is to be, where root opens it for a user that is become later. */
  readonly owner?: FileOwner | undefined;
  /** Told of the first failure, and again of the first after a success. */
  readonly failed: (error: Error) => void;
}

/** After a failure the next try waits this long; a pipe whose reader is slow is asked as often. */
const retryMs = 200;
/** Octets of one write. */
const pieceCharactersMax = 64 * 1024;

export class LineWriter {
  readonly #options: LineWriterOptions;
  #fd: number;
  /** Opened by `reopen`, to be used from the next write on. */
  #nextFd: number | undefined;
  #lines: string[] = [];
  #characters = 0;
  #rest: Buffer = Buffer.alloc(0);
  #writing = false;
  #failing = false;
  #closed = false;

  /** @throws system errors when the file cannot be opened */
  constructor(options: LineWriterOptions) {
    this.#options = options;
    this.#fd = typeof options.to === 'number' ? options.to : openFile(options.to, options.owner);
    process.on('exit', this.#flushOnce);
  }

  /** Past the bound lines are dropped. */
  write(line: string): void {
    if (this.#closed || this.#characters + line.length > logBufferBytesMax) return;
    this.#lines.push(line);
    this.#characters += line.length;
    if (!this.#writing) this.#writeNext();
  }

  /** Opens the file anew after it was moved away; the old one is kept when that fails. */
  reopen(): void {
    const { to } = this.#options;
    if (typeof to === 'number' || this.#closed) return;
    try {
      const fd = openFile(to, this.#options.owner);
      if (this.#nextFd !== undefined) closeSync(this.#nextFd);
      this.#nextFd = fd;
    } catch (error) {
      this.#options.failed(error as Error);
      return;
    }
    if (!this.#writing) this.#switch();
  }

  /** Writes what waits, without waiting for more than the system calls. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    process.off('exit', this.#flushOnce);
    this.#flushOnce();
    // A write that is under way in another thread still needs the descriptor.
    if (!this.#writing) this.#closeFiles();
  }

  #writeNext(): void {
    // Lines stay whole: what is half written is written to its end where it began, unless that cannot be.
    if (this.#rest.length === 0 || this.#failing) this.#switch();
    if (this.#rest.length === 0) this.#rest = this.#takePiece();
    this.#writing = this.#rest.length > 0;
    if (!this.#writing) return;
    write(this.#fd, this.#rest, (error, written) => this.#wrote(error, written));
  }

  #wrote(error: NodeJS.ErrnoException | null, written: number): void {
    this.#rest = error ? this.#rest : this.#rest.subarray(written);
    if (this.#closed) {
      this.#closeFiles();
      return;
    }
    if (!error) {
      this.#failing = false;
      this.#writeNext();
      return;
    }
    if (error.code !== 'EAGAIN' && !this.#failing) {
      this.#failing = true;
      this.#options.failed(error);
    }
    setTimeout(() => this.#writeNext(), retryMs).unref();
  }

  #takePiece(): Buffer {
    let count = 0;
    let characters = 0;
    while (count < this.#lines.length && (count === 0 || characters < pieceCharactersMax)) {
      characters += this.#lines[count]!.length;
      count += 1;
    }
    this.#characters -= characters;
    return Buffer.from(this.#lines.splice(0, count).join(''));
  }

  readonly #flushOnce = (): void => {
    // What is under way is written by its thread, or lost with it.
    const waiting = [...(this.#writing && !this.#failing ? [] : [this.#rest]), this.#takeAll()];
    try {
      for (const octets of waiting) if (octets.length > 0) writeSync(this.#fd, octets);
    } catch {
      // Nobody is left to tell, and nothing is waited for now.
    }
  };

  #takeAll(): Buffer {
    const octets = Buffer.from(this.#lines.join(''));
    this.#lines = [];
    this.#characters = 0;
    return octets;
  }

  #switch(): void {
    if (this.#nextFd === undefined) return;
    closeSync(this.#fd);
    this.#fd = this.#nextFd;
    this.#nextFd = undefined;
  }

  #closeFiles(): void {
    if (typeof this.#options.to === 'number') return;
    closeSync(this.#fd);
    if (this.#nextFd !== undefined) closeSync(this.#nextFd);
    this.#nextFd = undefined;
  }
}

function openFile(path: string, owner: FileOwner | undefined): number {
  const folder = dirname(path);
  const made = mkdirSync(folder, { recursive: true }) !== undefined;
  // Root alone can give files away, and has to only before it became another.
  if (owner === undefined || process.getuid?.() !== 0) return openSync(path, 'a', 0o640);
  if (made) lchownSync(folder, owner.uid, owner.gid);
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
  // The folder may be that user's: a link in it must not lead root to another's file.
  const fd = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o640);
  try {
    const stat = fstatSync(fd);
    if (stat.isFile() && stat.nlink > 1) throw new Error(`${path} has another name too`);
    if (stat.isFile()) fchownSync(fd, owner.uid, owner.gid);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
