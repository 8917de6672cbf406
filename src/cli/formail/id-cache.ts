/** The file of -D: keys that were seen, in formail's own form, so that either program may go on with the other's. */
import { constants, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { formailLimits } from '../../../core/base/limits/rules.ts';
import { lookUpKey } from '../../../rules/formail/id-cache.ts';

export class IdCache {
  readonly #fd: number;
  readonly #sizeBytes: number;

  private constructor(fd: number, sizeBytes: number) {
    this.#fd = fd;
    this.#sizeBytes = sizeBytes;
  }

  static open({
    path,
    sizeBytes,
  }: {
    readonly path: string;
    readonly sizeBytes: number;
  }): IdCache | 'unreadable' {
    try {
      const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o666);
      return new IdCache(fd, Math.min(sizeBytes, formailLimits.cacheBytesMax));
    } catch {
      return 'unreadable';
    }
  }

  /** From now on it is. @throws system errors */
  isKnown(key: string): boolean {
    const { known, write } = lookUpKey(this.#content(), key, this.#sizeBytes);
    if (write !== undefined)
      writeSync(this.#fd, Buffer.from(write.text, 'latin1'), 0, undefined, write.offset);
    return known;
  }

  #content(): string {
    const content = Buffer.alloc(Math.min(fstatSync(this.#fd).size, formailLimits.cacheBytesMax));
    let length = 0;
    for (;;) {
      const count = readSync(this.#fd, content, length, content.length - length, length);
      if (count === 0) return content.toString('latin1', 0, length);
      length += count;
    }
  }
}
