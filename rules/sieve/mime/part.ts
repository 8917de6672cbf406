/** The MIME tree of a message: every part with its header and its octets, nothing decoded before it is asked for. RFC 2046. */
import { type Fields, readFields } from '../fields.ts';
import { octetsText } from '../text.ts';
import { htmlText } from './html-text.ts';
import { decodeCharset, parseStructured, type StructuredField } from './parameters.ts';

interface PartLimits {
  readonly mimePartsMax: number;
  readonly mimeDepthMax: number;
}

export interface Part {
  readonly fields: Fields;
  /** Header and body. */
  readonly octets: Buffer;
  /** Still encoded. */
  readonly body: Buffer;
  readonly parent: Part | undefined;
  /** Of a multipart its parts, of message/rfc822 the message within. */
  readonly children: readonly Part[];
  /** `text`, `plain`: lower case; text/plain where the part does not say. */
  readonly type: string;
  readonly subtype: string;
  /** False where the field is broken: `text/plain/stupid`. */
  readonly typeIsRight: boolean;
  readonly parameters: ReadonlyMap<string, string>;
  /** Of a multipart: what stands before the first boundary and behind the last. */
  readonly preamble?: Buffer;
  readonly epilogue?: Buffer;
}

const rfc822: readonly string[] = ['message/rfc822', 'message/global'];

/** The tree of a message whose header is known. Parts past the limits stay leaves. */
export function readMessage(fields: Fields, body: Buffer, limits: PartLimits): Part {
  const budget = { parts: limits.mimePartsMax, ...limits };
  return readPart(fields, body, body, undefined, 'text/plain', 0, budget);
}

function readPart(
  fields: Fields,
  octets: Buffer,
  body: Buffer,
  parent: Part | undefined,
  byDefault: string,
  depth: number,
  budget: PartLimits & { parts: number },
): Part {
  const written = fields.rawValues('content-type')[0];
  const field: StructuredField = parseStructured(written ?? byDefault);
  const slashes = field.value.split('/');
  const typeIsRight = slashes.length === 2 && slashes.every((word) => word !== '');
  const part: Part = {
    fields,
    octets,
    body,
    parent,
    children: [],
    type: slashes[0] ?? '',
    subtype: slashes.slice(1).join('/'),
    typeIsRight,
    parameters: field.parameters,
  };
  if (depth >= budget.mimeDepthMax || !typeIsRight) return part;
  if (part.type === 'multipart') return readMultipart(part, depth, budget);
  if (rfc822.includes(field.value) && budget.parts > 0) {
    budget.parts--;
    const inner = readFields(body);
    const child = readPart(
      inner.fields,
      body,
      body.subarray(inner.bodyStart),
      part,
      'text/plain',
      depth + 1,
      budget,
    );
    (part.children as Part[]).push(child);
  }
  return part;
}

function readMultipart(part: Part, depth: number, budget: PartLimits & { parts: number }): Part {
  const boundary = part.parameters.get('boundary');
  if (boundary === undefined) return part;
  const byDefault = part.subtype === 'digest' ? 'message/rfc822' : 'text/plain';
  const cut = cutAtBoundary(part.body, boundary, budget.parts);
  const whole = { ...part, children: [] as Part[], preamble: cut.preamble, epilogue: cut.epilogue };
  budget.parts -= cut.parts.length;
  for (const octets of cut.parts) {
    const inner = readFields(octets);
    const body = octets.subarray(inner.bodyStart);
    whole.children.push(readPart(inner.fields, octets, body, whole, byDefault, depth + 1, budget));
  }
  return whole;
}

interface Cut {
  readonly preamble: Buffer;
  readonly parts: readonly Buffer[];
  readonly epilogue: Buffer;
}

/** RFC 2046 section 5.1.1: the line end before a boundary belongs to the boundary. */
function cutAtBoundary(body: Buffer, boundary: string, partsMax: number): Cut {
  const mark = Buffer.from(`--${boundary}`, 'utf8');
  const parts: Buffer[] = [];
  let preamble: Buffer | undefined;
  let start = 0;
  let from = 0;
  while (true) {
    const at = body.indexOf(mark, from);
    if (at < 0) break;
    from = at + mark.length;
    if (at > 0 && body[at - 1] !== 10) continue;
    const lineEnd = body.indexOf(10, from);
    const rest = body.toString('latin1', from, lineEnd < 0 ? body.length : lineEnd);
    if (!/^(?:--)?[ \t\r]*$/.test(rest)) continue;
    const before = body.subarray(start, withoutLineEnd(body, at, start));
    if (preamble === undefined) preamble = before;
    else parts.push(before);
    start = lineEnd < 0 ? body.length : lineEnd + 1;
    from = start;
    if (rest.startsWith('--')) return { preamble, parts, epilogue: body.subarray(start) };
    if (parts.length >= partsMax) break;
  }
  if (preamble === undefined) return { preamble: body, parts: [], epilogue: body.subarray(body.length) };
  // The last boundary is missing: what there is counts as a part.
  if (parts.length < partsMax) parts.push(body.subarray(start));
  return { preamble, parts, epilogue: body.subarray(body.length) };
}

function withoutLineEnd(body: Buffer, at: number, start: number): number {
  if (at <= start) return start;
  const end = body[at - 1] === 10 ? at - 1 : at;
  return end > start && body[end - 1] === 13 ? end - 1 : end;
}

/** The part itself, then all within it, in the order of the message. */
export function* walkParts(part: Part): Generator<Part> {
  yield part;
  for (const child of part.children) yield* walkParts(child);
}

/** Octets with the transfer encoding undone, undefined where it is unknown. RFC 2045 section 6. */
export function decodedBody(part: Part): Buffer | undefined {
  const written = part.fields.rawValues('content-transfer-encoding')[0] ?? '7bit';
  switch (parseStructured(written).value) {
    case '7bit':
    case '8bit':
    case 'binary':
    case '':
      return part.body;
    case 'base64':
      return Buffer.from(part.body.toString('latin1'), 'base64');
    case 'quoted-printable':
      return decodeQuotedPrintable(part.body);
    default:
      return undefined;
  }
}

/** RFC 2045 section 6.7. */
function decodeQuotedPrintable(octets: Buffer): Buffer {
  const text = octets
    .toString('latin1')
    .replace(/[ \t]+(?=\r?\n)/g, '')
    .replace(/=\r?\n/g, '')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(text, 'latin1');
}

/** Content as text: transfer encoding undone and, for text, its charset read; line ends CRLF. */
export function contentText(part: Part, octetsMax: number): string | undefined {
  const octets = decodedBody(part)?.subarray(0, octetsMax);
  if (octets === undefined) return undefined;
  const charset = part.parameters.get('charset');
  const isText = part.type === 'text' && charset !== undefined && !/^(us-ascii|utf-?8)$/i.test(charset);
  return withCrlf(isText ? decodeCharset(octets, charset) : octetsText(octets));
}

/** What a reader sees: HTML without its tags. RFC 5173 section 5.3. */
export function readableText(part: Part, octetsMax: number): string | undefined {
  const text = contentText(part, octetsMax);
  if (text === undefined) return undefined;
  const isHtml = part.subtype === 'html' || part.subtype === 'xhtml+xml';
  return isHtml ? htmlText(text) : text;
}

/** Line ends as in the message on the wire. */
export function withCrlf(text: string): string {
  return /(?:^|[^\r])\n/.test(text) ? text.replace(/\r?\n/g, '\r\n') : text;
}
