/** A message on its way in: written to a file of its own as it comes, LF line ends, and synced before it becomes a message. */
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { LfConverter } from '../../core/mail/line-ends.ts';
import type { Upload } from './mailbox.ts';
import { uniqueName } from './maildir/unique-name.ts';

export class FileUpload implements Upload {
  octets = 0;
  readonly path: string;
  readonly #file: FileHandle;
  readonly #converter = new LfConverter();
  #state: 'open' | 'whole' | 'gone' = 'open';
  /** LF and CRLF lengths, once it is whole. */
  #lengths = { octets: 0, crlfOctets: 0 };

  /** @param directory absolute. @throws system errors */
  static async begin(directory: string): Promise<FileUpload> {
    const path = join(directory, uniqueName(Date.now()));
    return new FileUpload(path, await open(path, 'wx', 0o600));
  }

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.octets += chunk.length;
    await this.#writeAll(this.#converter.convert(chunk));
  }

  /** On disk when it resolves; a second time it tells the same. @throws system errors */
  async finish(): Promise<{ octets: number; crlfOctets: number }> {
    if (this.#state === 'open') {
      await this.#writeAll(this.#converter.end());
      await this.#file.datasync();
      await this.#file.close();
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
    if (this.#state === 'open') await this.#file.close();
    this.#state = 'gone';
    await rm(this.path, { force: true });
  }

  async #writeAll(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length; ) {
      const { bytesWritten } = await this.#file.write(chunk, at);
      at += bytesWritten;
    }
  }
}
