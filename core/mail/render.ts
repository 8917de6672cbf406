/** Puts a message together again: header and body with the edits applied, as octets to write or to stream. */
import { open } from 'node:fs/promises';
import { applyHeaderEdits, type EditedHeader, type EditOptions, replacedBody } from './apply-edits.ts';
import type { Edit } from './edit.ts';
import { LfConverter, type StoredLength, toLf } from './line-ends.ts';
import { messageBytes, readHeader, spoolError } from './read-header.ts';
import type { MessageSource } from './source.ts';

/** Where the octets of a body lie: nothing is copied that no edit touched. */
export type RenderedBody =
  | { readonly kind: 'memory'; readonly bytes: Uint8Array }
  /** Octets from `start` up to `end` (not included) of a spool file. */
  | { readonly kind: 'file'; readonly path: string; readonly start: number; readonly end: number };

export interface Rendered {
  /** Fields and separator, CRLF line ends; views, for reading only. */
  readonly header: Uint8Array[];
  readonly body: RenderedBody;
  /** Octets of header and body together. */
  readonly length: number;
}

/** Octets read from a spool file at a time. */
const fileChunkBytes = 64 * 1024;
const crlf = Buffer.from('\r\n');

/**
 * The message after the edits. Without edits the octets are those of the source, whatever they are.
 * @throws OperationalError `header-too-large`, `spool-unreadable`, `bad-edit`.
 */
export function render(source: MessageSource, edits: readonly Edit[], options: EditOptions = {}): Rendered {
  return renderParts(source, applyHeaderEdits(readHeader(source), edits, options), replacedBody(edits));
}

/** As render, from a header that was edited before and a new body, if there is one. */
export function renderParts(
  source: MessageSource,
  header: EditedHeader,
  newBody: Uint8Array | undefined,
): Rendered {
  const body = newBody ? memoryBody(newBody) : sourceBody(source, header.block.bodyStart);
  const bodyLength = body.kind === 'memory' ? body.bytes.length : body.end - body.start;
  const chunks: Uint8Array[] = header.chunks();
  const { separator } = header.block;
  if (separator.length > 0) chunks.push(separator);
  // A message without a separator gets one as soon as anything differs: else a reader could take our fields and the
  // body's first lines for one header.
  else if (bodyLength > 0 && (header.changed || newBody)) chunks.push(...missingSeparator(chunks));
  let length = bodyLength;
  for (const chunk of chunks) length += chunk.length;
  return { header: chunks, body, length };
}

/** A small message rendered for storage: LF line ends, and its length in both forms, in one pass. */
export interface RenderedLf {
  /** Octets in order; they may be views on the message, for reading only. */
  readonly chunks: Uint8Array[];
  readonly length: StoredLength;
}

/** The message after the edits with LF line ends, all in memory: for sources up to `memoryMessageBytesMax`. */
export function renderLf(
  source: MessageSource & { kind: 'memory' },
  edits: readonly Edit[],
  options: EditOptions = {},
): RenderedLf {
  const { header, body } = render(source, edits, options);
  if (body.kind !== 'memory') throw new TypeError('a memory source renders into memory');
  const head = toLf(header.length === 1 ? header[0]! : Buffer.concat(header));
  const rest = toLf(body.bytes);
  return {
    chunks: [head.bytes, rest.bytes],
    length: {
      octets: head.octets + rest.octets,
      crlfOctets: head.crlfOctets + rest.crlfOctets,
    },
  };
}

/**
 * The message after the edits in chunks, bounded memory whatever the size. Chunks may be views on the message, for
 * reading only. The generator's return value is the length of what came: with `lf` in both
 * forms, with `crlf` as it was.
 * @throws OperationalError as render.
 */
export function renderStream(
  source: MessageSource,
  edits: readonly Edit[],
  options: EditOptions & { readonly lineEnds: 'crlf' | 'lf' },
): AsyncGenerator<Uint8Array, StoredLength> {
  return streamRendered(render(source, edits, options), options.lineEnds);
}

/** The octets of a rendered message in chunks; as renderStream. */
export async function* streamRendered(
  rendered: Rendered,
  lineEnds: 'crlf' | 'lf',
): AsyncGenerator<Uint8Array, StoredLength> {
  if (lineEnds === 'crlf') {
    yield* octets(rendered);
    return { octets: rendered.length, crlfOctets: rendered.length };
  }
  const converter = new LfConverter();
  for await (const chunk of octets(rendered)) {
    const converted = converter.convert(chunk);
    if (converted.length > 0) yield converted;
  }
  const last = converter.end();
  if (last.length > 0) yield last;
  return converter.length;
}

/** The body's octets in chunks of at most 64 KiB: views where the body lies in memory, fresh buffers where in a file. */
export async function* streamBody(body: RenderedBody): AsyncGenerator<Uint8Array, void> {
  if (body.kind === 'memory') {
    for (let at = 0; at < body.bytes.length; at += fileChunkBytes) {
      yield body.bytes.subarray(at, at + fileChunkBytes);
    }
    return;
  }
  if (body.start >= body.end) return;
  const file = await open(body.path, 'r').catch((error: unknown) => {
    throw spoolError(error);
  });
  try {
    for (let at = body.start; at < body.end; ) {
      const chunk = Buffer.allocUnsafeSlow(Math.min(fileChunkBytes, body.end - at));
      const { bytesRead } = await file.read(chunk, 0, chunk.length, at).catch((error: unknown) => {
        throw spoolError(error);
      });
      if (bytesRead === 0) throw spoolError(new Error(`the file ends at ${at} octets, not at ${body.end}`));
      yield chunk.subarray(0, bytesRead);
      at += bytesRead;
    }
  } finally {
    await file.close();
  }
}

async function* octets(rendered: Rendered): AsyncGenerator<Uint8Array, void> {
  yield* rendered.header;
  yield* streamBody(rendered.body);
}

/** CRLF for the empty line, and for the last field where it has no line end. */
function missingSeparator(chunks: readonly Uint8Array[]): Buffer[] {
  const last = chunks.at(-1);
  return last && last.at(-1) !== 10 ? [crlf, crlf] : [crlf];
}

function memoryBody(bytes: Uint8Array): RenderedBody {
  return { kind: 'memory', bytes };
}

function sourceBody(source: MessageSource, start: number): RenderedBody {
  if (source.kind === 'memory') return memoryBody(messageBytes(source).subarray(start));
  return { kind: 'file', path: source.path, start, end: source.length };
}
