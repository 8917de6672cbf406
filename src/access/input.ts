/** What a client sends, pulled in lines and counted octets: bounded in memory and, by its owner, in time. */
import type { Readable } from 'node:stream';
import { OperationalError } from '../../core/base/errors.ts';
import { accessLimits } from '../../core/base/limits/access.ts';

/** The client sends no more: whoever was reading ends. Thrown, never an answer. */
export class ConnectionEnded extends Error {
  readonly reason: EndReason;

  constructor(reason: EndReason) {
    super(`the connection ended: ${reason}`);
    this.name = 'ConnectionEnded';
    this.reason = reason;
  }
}

/** `lost`: by the client; `timeout`, `shutdown`: by us. */
export type EndReason = 'lost' | 'timeout' | 'shutdown';

/** Reads ahead a little, never more: a source that is full is paused, so that the client's TCP waits. */
export class Input {
  readonly #source: Readable;
  #chunks: Buffer[] = [];
  #buffered = 0;
  #ended: EndReason | undefined;
  #wake: (() => void) | undefined;

  constructor(source: Readable) {
    this.#source = source;
    source.on('data', this.#take);
    source.on('end', this.#lost);
    source.on('close', this.#lost);
    source.on('error', this.#lost);
  }

  /** Octets that were sent already and not yet read. */
  get buffered(): number {
    return this.#buffered;
  }

  /**
   * The next line without its CRLF; a bare LF ends a line too.
   * @throws OperationalError `line-too-long` (the rest stays unread: end the connection), ConnectionEnded
   */
  async line(octetsMax: number): Promise<Buffer> {
    for (let searched = 0; ; ) {
      const end = this.#find(searched);
      if (end > octetsMax || (end === -1 && this.#buffered > octetsMax)) {
        throw new OperationalError('line-too-long', `a line of more than ${octetsMax} octets`, {
          temporary: false,
          clientText: 'line too long',
        });
      }
      if (end !== -1) {
        const line = this.#cut(end + 1);
        return line.subarray(0, line.at(-2) === 0x0d ? -2 : -1);
      }
      searched = this.#buffered;
      await this.#more();
    }
  }

  /** The next `count` octets together: a literal that fits in memory. @throws ConnectionEnded */
  async octets(count: number): Promise<Buffer> {
    while (this.#buffered < count) await this.#more();
    return this.#cut(count);
  }

  /** The next `count` octets as they come: a literal of any size. To be read to its end. @throws ConnectionEnded */
  async *stream(count: number): AsyncGenerator<Buffer, void, undefined> {
    for (let left = count; left > 0; ) {
      if (this.#buffered === 0) await this.#more();
      const chunk = this.#cut(Math.min(left, this.#chunks[0]!.length));
      left -= chunk.length;
      yield chunk;
    }
  }

  /** Whoever reads, now or later, ends with that reason. */
  end(reason: EndReason): void {
    this.#ended ??= reason;
    this.#wake?.();
  }

  /** Takes no more from the source, which then belongs to somebody else; what was read ahead is handed back. */
  detach(): Buffer {
    this.#source.off('data', this.#take);
    for (const event of ['end', 'close', 'error']) this.#source.off(event, this.#lost);
    this.#source.pause();
    return this.#cut(this.#buffered);
  }

  async #more(): Promise<void> {
    if (this.#ended !== undefined) throw new ConnectionEnded(this.#ended);
    this.#source.resume();
    await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#wake = undefined;
  }

  readonly #take = (chunk: Buffer): void => {
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    if (this.#buffered >= accessLimits.readAheadOctets) this.#source.pause();
    this.#wake?.();
  };

  readonly #lost = (): void => this.end('lost');

  /** Place of the next LF, not looked for again in the first `from` octets; -1 when there is none. */
  #find(from: number): number {
    let before = 0;
    for (const chunk of this.#chunks) {
      if (before + chunk.length > from) {
        const at = chunk.indexOf(0x0a, Math.max(0, from - before));
        if (at !== -1) return before + at;
      }
      before += chunk.length;
    }
    return -1;
  }

  #cut(count: number): Buffer {
    if (count === 0) return Buffer.alloc(0);
    const first = this.#chunks[0]!;
    this.#buffered -= count;
    if (count < first.length) {
      this.#chunks[0] = first.subarray(count);
      return first.subarray(0, count);
    }
    if (count === first.length) return this.#chunks.shift()!;
    const whole = this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks);
    this.#chunks = count < whole.length ? [whole.subarray(count)] : [];
    return whole.subarray(0, count);
  }
}
