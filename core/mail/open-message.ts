/** Opens a message for plugins: immutable octets seen through edits. */
import { Readable } from 'node:stream';
import { defaultLimits, type Limits } from '../base/limits/settings.ts';
import { applyHeaderEdits, type EditOptions, replacedBody } from './apply-edits.ts';
import type { Edit } from './edit.ts';
import { HeaderView } from './header-view.ts';
import type { Headers, Message, ParsedMessage, TooLarge } from './message.ts';
import { parseMessage } from './parse-message.ts';
import { readHeader } from './read-header.ts';
import { type Rendered, type RenderedBody, renderParts, streamBody } from './render.ts';
import type { MessageSource } from './source.ts';

export interface OpenOptions extends EditOptions {
  readonly limits?: Limits;
}

/** Octets in one chunk that is copied for body() and raw(). */
const chunkBytes = 64 * 1024;
const crlf = Buffer.from('\r\n');

/**
 * The message as it stands after `edits`. The header is read once per source and thread, bounded by
 * `headerBytesMax`; the body only when it is asked for. Whatever a plugin gets is a copy of its own.
 * @throws OperationalError `header-too-large` (judgeHeader refuses such a message before), `spool-unreadable`, `bad-edit`.
 */
export function openMessage(
  source: MessageSource,
  edits: readonly Edit[],
  options: OpenOptions = {},
): Message {
  return new OpenMessage(source, edits, options);
}

class OpenMessage implements Message {
  readonly length: number;
  readonly headers: Headers;
  readonly #render: () => Rendered;
  readonly #limits: Limits;
  #parsed: Promise<ParsedMessage | TooLarge> | undefined;

  constructor(source: MessageSource, edits: readonly Edit[], options: OpenOptions) {
    this.#limits = options.limits ?? defaultLimits;
    const edited = applyHeaderEdits(readHeader(source), edits, options);
    this.length = source.length;
    this.headers = new HeaderView(edited);
    let rendered: Rendered | undefined;
    // Most plugins look at the header alone.
    this.#render = () => (rendered ??= renderParts(source, edited, replacedBody(edits)));
  }

  body(): Readable {
    return octetStream([], this.#render().body);
  }

  raw(): Readable {
    const { header, body } = this.#render();
    return octetStream(header, body);
  }

  parsed(): Promise<ParsedMessage | TooLarge> {
    this.#parsed ??= parseMessage(() => this.#separated(), this.#render().length, this.#limits);
    return this.#parsed;
  }

  /** raw() with the empty line that a parser needs where the message has none. */
  #separated(): Readable {
    const { header, body } = this.#render();
    const last = header.at(-1);
    if (last && last.length <= 2 && last.at(-1) === 10) return this.raw();
    return octetStream([...header, crlf], body);
  }
}

/** Octets of the reader's own, so that a plugin that writes to a chunk changes nothing but its own chunk. */
function octetStream(header: readonly Uint8Array[], body: RenderedBody): Readable {
  if (body.kind === 'memory') return new MemoryStream([...header, body.bytes]);
  return Readable.from(headerAndFile(header, body), { objectMode: false, highWaterMark: chunkBytes });
}

async function* headerAndFile(
  header: readonly Uint8Array[],
  body: RenderedBody,
): AsyncGenerator<Uint8Array, void> {
  yield* copies(header);
  // What comes from a file was read for this stream alone.
  yield* streamBody(body);
}

/** What lies in memory, pushed when it is asked for: a generator would cost promises for each chunk. */
class MemoryStream extends Readable {
  readonly #chunks: Generator<Uint8Array, void>;
  #reading = false;

  constructor(pieces: readonly Uint8Array[]) {
    super({ highWaterMark: chunkBytes });
    this.#chunks = copies(pieces);
  }

  override _read(): void {
    this.#reading = true;
    const { value, done } = this.#chunks.next();
    this.push(done ? null : value);
  }

  /** `for await` without the stream's buffer and events, which would cost more than a digest of a small body. */
  override [Symbol.asyncIterator](): NodeJS.AsyncIterator<Uint8Array> {
    if (this.#reading || this.destroyed) return super[Symbol.asyncIterator]();
    this.#reading = true;
    return this.#iterate();
  }

  async *#iterate(): AsyncGenerator<Uint8Array, undefined> {
    try {
      yield* this.#chunks;
    } finally {
      this.destroy();
    }
  }
}

function* copies(pieces: readonly Uint8Array[]): Generator<Uint8Array, void> {
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at += chunkBytes)
      yield Buffer.from(piece.subarray(at, at + chunkBytes));
  }
}
