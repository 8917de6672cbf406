/** A message on its way in: in memory while it is small, else in a file as it comes; LF line ends, synced before it becomes a message. */
import { closeSync, createReadStream, fdatasync, openSync, writeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { uploadLimits } from '../../core/base/limits/mailbox.ts';
import { LfConverter } from '../../core/mail/line-ends.ts';
import type { Upload } from './mailbox.ts';
import { uniqueName } from './maildir/unique-name.ts';

const sync = promisify(fdatasync);

/** Octets that all uploads of this process hold in memory. */
let heldOctets = 0;

export class FileUpload implements Upload {
  octets = 0;
  readonly path: string;
  readonly #converter = new LfConverter();
  #state: 'open' | 'whole' | 'gone' = 'open';
  /** Of the file, once it is there. */
  #fd: number | undefined;
  #held: Uint8Array[] = [];
  #heldOctets = 0;
  /** LF and CRLF lengths, once it is whole. */
  #lengths = { octets: 0, crlfOctets: 0 };

  /** @param directory absolute */
  constructor(directory: string) {
    this.path = join(directory, uniqueName(Date.now()));
  }

  /** @throws system errors */
  async write(chunk: Uint8Array): Promise<void> {
    this.octets += chunk.length;
    this.#take(this.#converter.convert(chunk));
  }

  /** On disk when it resolves; a second time it tells the same. @throws system errors */
  async finish(): Promise<{ octets: number; crlfOctets: number }> {
    if (this.#state === 'open') {
      this.#take(this.#converter.end());
      const fd = this.#toFile();
      await sync(fd);
      this.#close();
      this.#lengths = this.#converter.length;
      this.#state = 'whole';
    }
    return this.#lengths;
  }

  async *read(): AsyncGenerator<Uint8Array, void, undefined> {
    await this.finish();
    for await (const chunk of createReadStream(this.path)) yield chunk as Buffer;
  }

  /** It has become a message: the file is another's now. */
  taken(): void {
    this.#state = 'gone';
  }

  async discard(): Promise<void> {
    if (this.#state === 'gone') return;
    const hasFile = this.#fd !== undefined || this.#state === 'whole';
    this.#state = 'gone';
    this.#release();
    this.#close();
    if (hasFile) await rm(this.path, { force: true });
  }

  /** @param octets of which it may be that they are another's soon */
  #take(octets: Uint8Array): void {
    const { heldMax, heldByAllMax } = uploadLimits;
    const fits = this.#heldOctets + octets.length <= heldMax && heldOctets + octets.length <= heldByAllMax;
    if (this.#fd === undefined && fits) {
      this.#held.push(Buffer.from(octets));
      this.#heldOctets += octets.length;
      heldOctets += octets.length;
    } else {
      writeAll(this.#toFile(), octets);
    }
  }

  /** The file, with all in it that was held. */
  #toFile(): number {
    this.#fd ??= openSync(this.path, 'wx', 0o600);
    const held = this.#held;
    this.#release();
    if (held.length > 0) writeAll(this.#fd, held.length === 1 ? held[0]! : Buffer.concat(held));
    return this.#fd;
  }

  #release(): void {
    heldOctets -= this.#heldOctets;
    this.#heldOctets = 0;
    this.#held = [];
  }

  #close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/** A chunk is small, and the page cache takes it: writing it costs less than handing it over. */
function writeAll(fd: number, octets: Uint8Array): void {
  for (let at = 0; at < octets.length; ) at += writeSync(fd, octets, at);
}
