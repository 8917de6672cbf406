/**
 * The parts of a message of any size, found in one pass over a stream: what a conversion of its encodings must know.
 * RFC 2045, RFC 2046 section 5.1. It sees the parts that readMimeStructure sees, and notes what breaks the grammar.
 */
import { headerScanBytesMax, mimeStructureLimits } from '../base/limits/message.ts';
import type { HeaderBlock } from './header.ts';
import { readContentType, readToken } from './mime-fields.ts';
import { fieldOctets, partHeader } from './mime-structure.ts';
import { needsQuoting } from './transfer-encoder.ts';

/** Offsets count octets from the begin of the message. */
export interface ScannedPart {
  readonly kind: 'leaf' | 'multipart' | 'message';
  /** Upper case, what the part says or is taken for: `TEXT/PLAIN`. */
  readonly type: string;
  /** False where the type is the default. */
  readonly saysType: boolean;
  /** Upper case, `7BIT` by default. */
  readonly encoding: string;
  /** Its Content-Transfer-Encoding, the line end included. */
  readonly encodingField: Range | undefined;
  /** A message, the outermost or one in a message/rfc822, without MIME-Version. */
  readonly lacksVersion: boolean;
  /** Every reader sees the same header: fields alone, up to an empty line, type and encoding once at most. */
  readonly isSound: boolean;
  /** Within a multipart/signed or multipart/encrypted. RFC 1847. */
  readonly isProtected: boolean;
  /** Past the last field. */
  readonly fieldsEnd: number;
  readonly bodyStart: number;
  /** Past the last octet of the body; the line end before a delimiter belongs to the delimiter. */
  end: number;
  /** Of its own octets: not those of parts inside, but those before and after them; of its header where that is not sound. */
  readonly counts: OctetCounts;
}

export interface Range {
  readonly start: number;
  readonly end: number;
}

export interface OctetCounts {
  octets: number;
  eightBit: number;
  /** Octets that quoted-printable writes as three. */
  quoted: number;
  nuls: number;
  /** The longest line, without its end. */
  lineOctetsMax: number;
}

/** Parts in the order of their headers, the message itself first; undefined where there are more than is looked into. */
export async function scanMime(
  chunks: AsyncIterable<Uint8Array>,
): Promise<readonly ScannedPart[] | undefined> {
  const scanner = new Scanner();
  for await (const piece of pieces(chunks)) {
    scanner.take(piece);
    if (scanner.parts.length > mimeStructureLimits.partsMax) return undefined;
  }
  return scanner.end();
}

const LF = 10;
const CR = 13;
const DASH = 45;

/** A line is handed on in pieces from this length on: no delimiter is as long. */
const pieceBytes = 16 * 1024;

/** Lines with their ends, long ones in pieces. */
async function* pieces(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    const octets = Buffer.concat([held, chunk]);
    let from = 0;
    for (let at = octets.indexOf(LF); at >= 0; at = octets.indexOf(LF, from)) {
      yield octets.subarray(from, at + 1);
      from = at + 1;
    }
    held = octets.subarray(from);
    if (held.length <= pieceBytes) continue;
    // A CR stays with the LF that may follow it.
    const end = held.length - (held.at(-1) === CR ? 1 : 0);
    yield held.subarray(0, end);
    held = held.subarray(end);
  }
  if (held.length > 0) yield held;
}

interface OpenMultipart {
  readonly boundary: string;
  readonly part: ScannedPart;
  readonly depth: number;
}

interface OpenHeader {
  readonly start: number;
  readonly pieces: Buffer[];
  readonly isMessage: boolean;
  /** RFC 2046 section 5.1.5. */
  readonly inDigest: boolean;
  readonly isProtected: boolean;
  readonly depth: number;
}

class Scanner {
  readonly parts: ScannedPart[] = [];
  /** Those whose end has not come: each lies in the one before. */
  readonly #unended: ScannedPart[] = [];
  #open: OpenMultipart[] = [];
  #header: OpenHeader | undefined = outermost();
  /** Whose octets follow where no header is open. */
  #current: ScannedPart | undefined;
  #at = 0;
  #beginsLine = true;
  /** Octets of the line end just before. */
  #lineEnd = 0;
  /** Of the line so far. */
  #lineOctets = 0;

  take(piece: Buffer): void {
    const found = this.#beginsLine ? this.#delimiter(piece) : undefined;
    const lineEnd = lineEndOf(piece);
    if (found) this.#delimit(found.open, found.closes, piece.length);
    else if (this.#header) this.#takeHeader(this.#header, piece, lineEnd);
    else if (this.#current) this.#count(this.#current.counts, piece, lineEnd);
    this.#at += piece.length;
    this.#lineEnd = lineEnd;
    this.#beginsLine = lineEnd > 0;
  }

  end(): readonly ScannedPart[] {
    this.#closeHeaders(this.#at);
    for (const part of this.#unended) part.end = this.#at;
    return this.parts;
  }

  #takeHeader(header: OpenHeader, piece: Buffer, lineEnd: number): void {
    header.pieces.push(Buffer.from(piece));
    const next = this.#at + piece.length;
    const isEmptyLine = this.#beginsLine && lineEnd === piece.length;
    const octetsMax = header.depth === 0 ? headerScanBytesMax : mimeStructureLimits.partHeaderOctetsMax;
    if (isEmptyLine || next - header.start >= octetsMax) this.#closeHeader(header, next);
  }

  /** All that are open: a message in a part begins with a header of its own. */
  #closeHeaders(at: number): void {
    while (this.#header) this.#closeHeader(this.#header, at);
  }

  #closeHeader(header: OpenHeader, bodyStart: number): void {
    const octets = Buffer.concat(header.pieces);
    const { part, boundary } = readPart(header, octets, bodyStart);
    if (!part.isSound) part.counts.eightBit = octets.reduce((sum, octet) => sum + (octet >> 7), 0);
    this.parts.push(part);
    this.#unended.push(part);
    this.#header = undefined;
    this.#current = part;
    if (part.kind === 'message') this.#header = headerIn(part, bodyStart, header.depth + 1, true);
    else if (part.kind === 'multipart') this.#open.push({ boundary, part, depth: header.depth });
  }

  /** The innermost of equal boundaries counts. */
  #delimiter(line: Buffer): { open: OpenMultipart; closes: boolean } | undefined {
    if (this.#open.length === 0 || line[0] !== DASH || line[1] !== DASH) return undefined;
    if (line.length > mimeStructureLimits.delimiterOctetsMax) return undefined;
    const text = trimmedEnd(line.toString('latin1', 2));
    const open = this.#open.findLast(({ boundary }) => boundary === text);
    if (open) return { open, closes: false };
    if (!text.endsWith('--')) return undefined;
    const closed = this.#open.findLast(({ boundary }) => boundary === text.slice(0, -2));
    return closed && { open: closed, closes: true };
  }

  #delimit(open: OpenMultipart, closes: boolean, octets: number): void {
    this.#closeHeaders(this.#at);
    let end = this.#at - this.#lineEnd;
    for (let last = this.#unended.at(-1)!; last !== open.part; last = this.#unended.at(-1)!) {
      end = Math.max(last.bodyStart, end);
      last.end = end;
      this.#unended.pop();
    }
    this.#open.length = this.#open.indexOf(open) + (closes ? 0 : 1);
    // What follows the last delimiter belongs to the multipart.
    this.#current = open.part;
    if (!closes) this.#header = headerIn(open.part, this.#at + octets, open.depth + 1, false);
  }

  #count(counts: OctetCounts, piece: Buffer, lineEnd: number): void {
    const content = piece.length - lineEnd;
    this.#lineOctets = (this.#beginsLine ? 0 : this.#lineOctets) + content;
    counts.octets += piece.length;
    counts.lineOctetsMax = Math.max(counts.lineOctetsMax, this.#lineOctets);
    for (let at = 0; at < content; at += 1) {
      const octet = piece[at]!;
      if (!needsQuoting(octet)) continue;
      counts.quoted += 1;
      if (octet > 127) counts.eightBit += 1;
      else if (octet === 0) counts.nuls += 1;
    }
  }
}

function outermost(): OpenHeader {
  return { start: 0, pieces: [], isMessage: true, inDigest: false, isProtected: false, depth: 0 };
}

function headerIn(around: ScannedPart, start: number, depth: number, isMessage: boolean): OpenHeader {
  const isProtected = around.isProtected || isProtecting(around);
  return { start, pieces: [], isMessage, inDigest: around.type === 'MULTIPART/DIGEST', isProtected, depth };
}

function readPart(
  { start, isMessage, inDigest, isProtected, depth }: OpenHeader,
  octets: Buffer,
  bodyStart: number,
): { part: ScannedPart; boundary: string } {
  const block = partHeader(octets, { headerStart: 0, bodyStart: octets.length });
  const typeAt = indexOfField(block, 'content-type');
  const encodingAt = indexOfField(block, 'content-transfer-encoding');
  const said = typeAt < 0 ? undefined : readContentType(fieldOctets(block, typeAt));
  const type = said ? `${said.type}/${said.subtype}` : inDigest ? 'MESSAGE/RFC822' : 'TEXT/PLAIN';
  const word = encodingAt < 0 ? '' : readToken(fieldOctets(block, encodingAt)).toUpperCase();
  const encoding = word || '7BIT';
  const boundary = said?.parameters.find(([name]) => name.toLowerCase() === 'boundary')?.[1] ?? '';
  const part: ScannedPart = {
    kind: depth < mimeStructureLimits.depthMax ? kindOf(type, encoding, boundary) : 'leaf',
    type,
    saysType: typeAt >= 0,
    encoding,
    encodingField:
      encodingAt < 0
        ? undefined
        : { start: start + block.starts[encodingAt]!, end: start + block.end(encodingAt) },
    lacksVersion: isMessage && block.countNamed('mime-version') === 0,
    isSound: isSound(block, octets) && (typeAt < 0 || said !== undefined),
    isProtected,
    fieldsEnd: start + block.bytes.length,
    bodyStart,
    end: -1,
    counts: { octets: 0, eightBit: 0, quoted: 0, nuls: 0, lineOctetsMax: 0 },
  };
  return { part, boundary: trimmedEnd(boundary) };
}

function kindOf(type: string, encoding: string, boundary: string): ScannedPart['kind'] {
  if (type === 'MESSAGE/RFC822') return isIdentity(encoding) ? 'message' : 'leaf';
  if (!type.startsWith('MULTIPART/') || trimmedEnd(boundary) === '') return 'leaf';
  return boundary.length < mimeStructureLimits.delimiterOctetsMax ? 'multipart' : 'leaf';
}

function isSound(block: HeaderBlock, octets: Buffer): boolean {
  if (block.separator.length === 0 || block.bodyStart !== octets.length) return false;
  if (block.nameEnds.some((end) => end < 0)) return false;
  return block.countNamed('content-type') < 2 && block.countNamed('content-transfer-encoding') < 2;
}

function indexOfField(block: HeaderBlock, lowerName: string): number {
  return block.starts.findIndex((_, at) => block.isNamed(at, lowerName));
}

/** RFC 2045 section 6.2: the encodings that change nothing. */
export function isIdentity(encoding: string): boolean {
  return encoding === '7BIT' || encoding === '8BIT' || encoding === 'BINARY';
}

/** RFC 1847: octets inside are what was signed, or tell how to decrypt. */
function isProtecting({ type }: ScannedPart): boolean {
  return type === 'MULTIPART/SIGNED' || type === 'MULTIPART/ENCRYPTED';
}

function lineEndOf(piece: Buffer): number {
  if (piece.at(-1) !== LF) return 0;
  return piece.at(-2) === CR ? 2 : 1;
}

/** Without white space at the end, in linear time. */
function trimmedEnd(text: string): string {
  let end = text.length;
  while (end > 0 && ' \t\r\n'.includes(text[end - 1]!)) end -= 1;
  return text.slice(0, end);
}
