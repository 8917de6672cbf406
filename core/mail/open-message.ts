/** Opens a message for plugins: immutable octets seen through edits. */
import { Readable } from 'node:stream';
import { defaultLimits, type Limits } from '../base/limits.ts';
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
  readonly #rendered: Rendered;
  readonly #limits: Limits;
  #parsed: Promise<ParsedMessage | TooLarge> | undefined;

  constructor(source: MessageSource, edits: readonly Edit[], options: OpenOptions) {
    this.#limits = options.limits ?? defaultLimits;
    const edited = applyHeaderEdits(readHeader(source), edits, options);
    this.length = source.length;
    this.headers = new HeaderView(edited);
    this.#rendered = renderParts(source, edited, replacedBody(edits));
  }

  body(): Readable {
    return readable(ownBody(this.#rendered.body));
  }

  raw(): Readable {
    return readable(ownOctets(this.#rendered));
  }

  parsed(): Promise<ParsedMessage | TooLarge> {
    this.#parsed ??= parseMessage(() => this.#separated(), this.#rendered.length, this.#limits);
    return this.#parsed;
  }

  /** raw() with the empty line that a parser needs where the message has none. */
  #separated(): Readable {
    const { header, body, length } = this.#rendered;
    const last = header.at(-1);
    if (last && last.length <= 2 && last.at(-1) === 10) return this.raw();
    return readable(ownOctets({ header: [...header, crlf], body, length }));
  }
}

function readable(chunks: AsyncGenerator<Uint8Array, void>): Readable {
  return Readable.from(chunks, { objectMode: false, highWaterMark: chunkBytes });
}

/** Copies, so that a plugin that writes to a chunk changes nothing but its own chunk. */
async function* copies(chunks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += chunkBytes)
      yield Buffer.from(chunk.subarray(at, at + chunkBytes));
  }
}

/** What comes from a file was read for this stream alone. */
async function* ownBody(body: RenderedBody): AsyncGenerator<Uint8Array, void> {
  if (body.kind === 'memory') yield* copies([body.bytes]);
  else yield* streamBody(body);
}

async function* ownOctets(rendered: Rendered): AsyncGenerator<Uint8Array, void> {
  yield* copies(rendered.header);
  yield* ownBody(rendered.body);
}
