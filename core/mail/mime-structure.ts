/**
 * The MIME structure of a message as offsets into its octets: what BODYSTRUCTURE tells and where BODY[1.2] lies.
 * RFC 2045, RFC 2046 section 5.1. One pass over the lines, whatever the message claims to be.
 */
import { headerScanBytesMax, mimeStructureLimits } from '../base/limits/message.ts';
import { HeaderBlock, headerTooLarge, parseHeader } from './header.ts';
import {
  type FieldValue,
  readContentType,
  readDisposition,
  readLanguages,
  readToken,
} from './mime-fields.ts';

/** Offsets count octets from the begin of the message; texts are octets as Latin-1. */
export interface MimePart {
  /** Upper case, `TEXT` and `PLAIN` where nothing better is said. RFC 2045 section 5.2. */
  readonly type: string;
  readonly subtype: string;
  readonly parameters: readonly (readonly [name: string, value: string])[];
  readonly id: string | undefined;
  readonly description: string | undefined;
  /** Upper case, `7BIT` by default. RFC 2045 section 6.1. */
  readonly encoding: string;
  readonly md5: string | undefined;
  readonly disposition: FieldValue | undefined;
  readonly languages: readonly string[];
  readonly location: string | undefined;
  readonly headerStart: number;
  /** Past the empty line, where there is one. */
  readonly bodyStart: number;
  /** Past the last octet; the line end before a delimiter belongs to the delimiter. */
  readonly end: number;
  /** Line ends in the body. */
  readonly lines: number;
  /** Octets of the body with CRLF line ends. */
  readonly octets: number;
  /** Of a multipart; never empty there. */
  readonly parts?: readonly MimePart[];
  /** Of a message/rfc822 or message/global that is not encoded. */
  readonly message?: MimePart;
}

/**
 * Never fails: what breaks the grammar, or passes a limit, is not looked into; a multipart then has one empty part.
 * @param lineEnds of the message; offsets are those of its octets
 */
export function readMimeStructure(message: Buffer, lineEnds: 'crlf' | 'lf' = 'crlf'): MimePart {
  return new Reader(message, lineEnds === 'lf' ? 1 : 0).read();
}

/** The header of a part, to look up its fields; empty when it has none. */
export function partHeader(message: Buffer, part: Pick<MimePart, 'headerStart' | 'bodyStart'>): HeaderBlock {
  return headerOf(message.subarray(part.headerStart, part.bodyStart));
}

interface OpenMultipart {
  readonly boundary: string;
  readonly depth: number;
}

/** What ended a body: a delimiter of the multipart at that depth, or the end of the message. */
interface Ending {
  /** Past the last octet of the body. */
  readonly end: number;
  /** Past the line that ended it. */
  readonly next: number;
  /** Depth of the multipart whose delimiter it was; -1 at the end of the message. */
  readonly depth: number;
  readonly closes: boolean;
}

const LF = 10;
const CR = 13;
const DASH = 45;

class Reader {
  readonly #octets: Buffer;
  /** Multiparts that the reading stands in, by boundary: the innermost of equal ones. */
  readonly #open = new Map<string, OpenMultipart[]>();
  /** What a line end has more in CRLF than here. */
  readonly #lineEndMore: number;
  #parts = 0;

  constructor(octets: Buffer, lineEndMore: number) {
    this.#octets = octets;
    this.#lineEndMore = lineEndMore;
  }

  read(): MimePart {
    return this.#part(0, 0, false).part;
  }

  /** The part that begins at `start`, up to where a multipart around it goes on. */
  #part(start: number, depth: number, inDigest: boolean): { part: MimePart; ending: Ending } {
    this.#parts += 1;
    const header = this.#header(start, depth > 0);
    const bodyStart = start + header.bodyStart;
    const fields = readFields(header, inDigest);
    const mayNest = depth < mimeStructureLimits.depthMax;
    if (mayNest && fields.type === 'MULTIPART') {
      const boundary = fields.parameters.find(([name]) => name.toLowerCase() === 'boundary')?.[1];
      if (boundary && boundary.length < mimeStructureLimits.delimiterOctetsMax)
        return this.#multipart(start, bodyStart, depth, fields, boundary);
    }
    if (mayNest && isMessage(fields)) {
      const inner = this.#part(bodyStart, depth + 1, false);
      const { end } = inner.ending;
      return {
        part: this.#made(fields, start, bodyStart, end, { message: inner.part }),
        ending: inner.ending,
      };
    }
    const ending = this.#skipBody(bodyStart);
    const inside = fields.type === 'MULTIPART' ? { parts: [this.#emptyPart(ending.end)] } : {};
    return { part: this.#made(fields, start, bodyStart, ending.end, inside), ending };
  }

  #multipart(start: number, bodyStart: number, depth: number, fields: Fields, boundary: string) {
    const octets = Buffer.from(boundary, 'latin1');
    const trimmed = octets.toString('latin1', 0, withoutBlanks(octets, 0, octets.length));
    const around = this.#open.get(trimmed) ?? [];
    this.#open.set(trimmed, [...around, { boundary: trimmed, depth }]);
    const parts: MimePart[] = [];
    let ending = this.#skipBody(bodyStart);
    while (ending.depth === depth && !ending.closes) {
      if (this.#parts >= mimeStructureLimits.partsMax) ending = this.#skipBody(ending.next);
      else {
        const next = this.#part(ending.next, depth + 1, fields.subtype === 'DIGEST');
        parts.push(next.part);
        ending = next.ending;
      }
    }
    if (around.length > 0) this.#open.set(trimmed, around);
    else this.#open.delete(trimmed);
    // The epilogue belongs to the multipart.
    if (ending.depth === depth) ending = this.#skipBody(ending.next);
    if (parts.length === 0) parts.push(this.#emptyPart(ending.end));
    return { part: this.#made(fields, start, bodyStart, ending.end, { parts }), ending };
  }

  /** What stands for the parts of a multipart that has none: the grammar of BODYSTRUCTURE wants one. */
  #emptyPart(at: number): MimePart {
    return this.#made(plainText, at, at, at);
  }

  #made(
    fields: Fields,
    headerStart: number,
    bodyStart: number,
    end: number,
    inside: Pick<MimePart, 'parts' | 'message'> = {},
  ): MimePart {
    // A body that ends before it begins has only the line end that belongs to the delimiter.
    const from = Math.min(bodyStart, end);
    const known = inside.parts ?? (inside.message ? [inside.message] : []);
    const lines = this.#countLines(from, end, known);
    const octets = end - from + lines * this.#lineEndMore;
    return { ...fields, headerStart, bodyStart: from, end, lines, octets, ...inside };
  }

  /** RFC 2046 section 5.1.1: a delimiter may follow the header at once, and ends it even where it should not. */
  #header(start: number, nested: boolean): HeaderBlock {
    return headerOf(this.#octets.subarray(start, nested ? this.#headerEnd(start) : undefined));
  }

  /** Past the first empty line, or at the first delimiter. */
  #headerEnd(start: number): number {
    const limit = Math.min(this.#octets.length, start + mimeStructureLimits.partHeaderOctetsMax);
    for (let at = start; at < limit; ) {
      const next = this.#lineEnd(at);
      if (this.#octets[at] === DASH && this.#delimiter(at, next)) return at;
      if (this.#beforeLineEnd(next) <= at) return next;
      at = next;
    }
    return limit;
  }

  /** Goes on to the next delimiter of any open multipart. */
  #skipBody(start: number): Ending {
    const octets = this.#octets;
    for (let at = start; at < octets.length; ) {
      const next = this.#lineEnd(at);
      if (octets[at] === DASH && octets[at + 1] === DASH && this.#open.size > 0) {
        const found = this.#delimiter(at, next);
        if (found) return { ...found, end: Math.max(start, this.#beforeLineEnd(at)), next };
      }
      at = this.#nextDashes(next);
    }
    return { end: octets.length, next: octets.length, depth: -1, closes: true };
  }

  /** The next line that may be a delimiter: at `at`, or after it. */
  #nextDashes(at: number): number {
    if (this.#octets[at] === DASH && this.#octets[at + 1] === DASH) return at;
    if (this.#open.size === 0) return this.#octets.length;
    const found = this.#octets.indexOf('\n--', Math.max(0, at - 1), 'latin1');
    return found < 0 ? this.#octets.length : found + 1;
  }

  #delimiter(start: number, next: number): { depth: number; closes: boolean } | undefined {
    if (next - start > mimeStructureLimits.delimiterOctetsMax) return undefined;
    if (this.#octets[start + 1] !== DASH) return undefined;
    const line = this.#octets.toString('latin1', start + 2, withoutBlanks(this.#octets, start + 2, next));
    const open = this.#open.get(line)?.at(-1);
    if (open) return { depth: open.depth, closes: false };
    if (!line.endsWith('--')) return undefined;
    const closed = this.#open.get(line.slice(0, -2))?.at(-1);
    return closed && { depth: closed.depth, closes: true };
  }

  #lineEnd(at: number): number {
    const end = this.#octets.indexOf(LF, at);
    return end < 0 ? this.#octets.length : end + 1;
  }

  #beforeLineEnd(at: number): number {
    if (this.#octets[at - 1] !== LF) return at;
    return this.#octets[at - 2] === CR ? at - 2 : at - 1;
  }

  /** Lines of parts inside are counted already: the whole is linear whatever the nesting. */
  #countLines(from: number, to: number, known: readonly MimePart[]): number {
    let count = 0;
    let at = from;
    for (const part of known) {
      count += this.#lineEndsIn(at, part.bodyStart) + part.lines;
      at = part.end;
    }
    return count + this.#lineEndsIn(at, to);
  }

  #lineEndsIn(from: number, to: number): number {
    let count = 0;
    for (let at = this.#octets.indexOf(LF, from); at >= 0 && at < to; at = this.#octets.indexOf(LF, at + 1)) {
      count += 1;
    }
    return count;
  }
}

type Fields = Omit<MimePart, 'headerStart' | 'bodyStart' | 'end' | 'lines' | 'octets' | 'parts' | 'message'>;

const noOctets = Buffer.alloc(0);
const noHeader = new HeaderBlock(noOctets, noOctets, 0);

const plainText: Fields = {
  type: 'TEXT',
  subtype: 'PLAIN',
  // RFC 2045 section 5.2: what has no Content-Type is US-ASCII text.
  parameters: [['CHARSET', 'US-ASCII']],
  id: undefined,
  description: undefined,
  encoding: '7BIT',
  md5: undefined,
  disposition: undefined,
  languages: [],
  location: undefined,
};

/** RFC 2046 section 5.1.5: parts of a digest are messages unless they say otherwise. */
const digestPart: Fields = { ...plainText, type: 'MESSAGE', subtype: 'RFC822', parameters: [] };

function headerOf(octets: Buffer): HeaderBlock {
  const header = parseHeader(octets, headerScanBytesMax);
  return header === headerTooLarge ? noHeader : header;
}

function isMessage({ type, subtype, encoding }: Fields): boolean {
  if (type !== 'MESSAGE' || (subtype !== 'RFC822' && subtype !== 'GLOBAL')) return false;
  return encoding !== 'BASE64' && encoding !== 'QUOTED-PRINTABLE';
}

function readFields(header: HeaderBlock, inDigest: boolean): Fields {
  const fallback = inDigest ? digestPart : plainText;
  const values = contentFields(header);
  if (values.size === 0) return fallback;
  const contentType = values.get('content-type');
  const type = contentType === undefined ? undefined : readContentType(contentType);
  const { type: name, subtype, parameters } = type ?? fallback;
  const disposition = values.get('content-disposition');
  return {
    type: name,
    subtype,
    parameters,
    id: values.get('content-id'),
    description: values.get('content-description'),
    encoding: readToken(values.get('content-transfer-encoding') ?? '').toUpperCase() || '7BIT',
    md5: values.get('content-md5'),
    disposition: disposition === undefined ? undefined : readDisposition(disposition),
    languages: readLanguages(values.get('content-language') ?? ''),
    location: values.get('content-location')?.replace(/[ \t]+/g, ''),
  };
}

/** The first of each Content field, unfolded, outer white space removed; Latin-1. */
function contentFields(header: HeaderBlock): Map<string, string> {
  const values = new Map<string, string>();
  for (let index = 0; index < header.starts.length; index += 1) {
    const start = header.starts[index]!;
    const nameEnd = header.nameEnds[index]!;
    if (nameEnd < 0 || (header.bytes[start]! | 32) !== 99) continue;
    const name = header.bytes.toString('latin1', start, nameEnd).toLowerCase();
    if (name.startsWith('content-') && !values.has(name)) values.set(name, fieldOctets(header, index));
  }
  return values;
}

/** Value of item `index` as Latin-1 octets: unfolded, outer white space removed. */
export function fieldOctets(header: HeaderBlock, index: number): string {
  const { bytes } = header;
  const from = bytes.indexOf(58, header.nameEnds[index]!) + 1;
  const value = bytes.toString('latin1', from, withoutBlanks(bytes, from, header.end(index)));
  const unfolded = value.includes('\n') ? value.replace(/\r?\n/g, '') : value;
  let start = 0;
  while (isBlank(unfolded.charCodeAt(start))) start += 1;
  return unfolded.slice(start);
}

/** Where the octets end without white space and line ends behind them. */
function withoutBlanks(octets: Buffer, start: number, end: number): number {
  let at = end;
  while (at > start && isBlank(octets[at - 1])) at -= 1;
  return at;
}

function isBlank(octet: number | undefined): boolean {
  return octet === 32 || octet === 9 || octet === CR || octet === LF;
}
