/**
 * The header block of a message as bytes: fields in order, with folding, duplicates, 8-bit and malformed lines kept.
 * RFC 5322 section 2.2; what is no field is treated as the lenient readers downstream would treat it:
 *
 * - A line ends at CRLF or at a bare LF; a bare CR or a NUL is an octet like any other.
 * - The header ends at the first empty line. A line before it that is no field (no colon, colon first, a control or
 *   8-bit octet in the name, an mbox `From ` line) keeps its place and hides nothing after it.
 * - A message whose first line begins with white space, or that has no field before the first empty line, has no
 *   header: all of it is body.
 * - A message without an empty line (within the limit) has its body begin at the first line that is no field.
 */

/** Where the parts of a message lie, as offsets from its first octet. */
interface Layout {
  readonly headerEnd: number;
  readonly bodyStart: number;
}

/** The header exceeds `headerBytesMax`: neither an empty line nor a line that is no field within the limit. */
export const headerTooLarge = Symbol('header too large');

const CR = 13;
const LF = 10;
const SPACE = 32;
const TAB = 9;
const COLON = 58;
const fromLine = Buffer.from('From ');

/** A parsed header block. Bytes are views on the message: never written to, never handed to a plugin. */
export class HeaderBlock {
  /** The fields, without the separator. */
  readonly bytes: Buffer;
  /** The empty line after the fields; no octets when the message has none. */
  readonly separator: Buffer;
  /** Offset of the first body octet in the message. */
  readonly bodyStart: number;
  /** Lines with their continuation lines, fields or not: offset of the first octet of each. */
  readonly starts: readonly number[];
  /** Offset past the name of each, -1 for a line that is no field. */
  readonly nameEnds: readonly number[];

  constructor(bytes: Buffer, separator: Buffer, bodyStart: number) {
    this.bytes = bytes;
    this.separator = separator;
    this.bodyStart = bodyStart;
    const starts: number[] = [];
    const nameEnds: number[] = [];
    for (let at = 0; at < bytes.length; at = lineEnd(bytes, at)) {
      const first = bytes[at];
      if ((first === SPACE || first === TAB) && at > 0) continue;
      starts.push(at);
      nameEnds.push(nameEnd(bytes, at));
    }
    this.starts = starts;
    this.nameEnds = nameEnds;
  }

  /** Offset past item `index`, its line end included. */
  end(index: number): number {
    return this.starts[index + 1] ?? this.bytes.length;
  }

  /** True when item `index` is a field of that name, which is given in lower case. */
  isNamed(index: number, lowerName: string): boolean {
    const start = this.starts[index]!;
    if (this.nameEnds[index]! - start !== lowerName.length) return false;
    for (let i = 0; i < lowerName.length; i++) {
      const octet = this.bytes[start + i]!;
      const lower = octet >= 65 && octet <= 90 ? octet + 32 : octet;
      if (lower !== lowerName.charCodeAt(i)) return false;
    }
    return true;
  }

  /** Fields of that name, which is given in lower case. */
  countNamed(lowerName: string): number {
    let count = 0;
    for (let i = 0; i < this.starts.length; i++) if (this.isNamed(i, lowerName)) count++;
    return count;
  }
}

/**
 * The header block of a message, or of a beginning of it of at least `maxBytes + 2` octets. Views, no copy.
 * Answers `headerTooLarge` where the header does not end within `maxBytes`.
 */
export function parseHeader(message: Buffer, maxBytes: number): HeaderBlock | typeof headerTooLarge {
  const layout = findLayout(message, maxBytes);
  if (layout === headerTooLarge) return headerTooLarge;
  return new HeaderBlock(
    message.subarray(0, layout.headerEnd),
    message.subarray(layout.headerEnd, layout.bodyStart),
    layout.bodyStart,
  );
}

/** Name of a field as written; `raw` begins with it. Empty for a line that is no field. */
export function fieldName(raw: Buffer): string {
  const end = nameEnd(raw, 0);
  return end < 0 ? '' : raw.toString('latin1', 0, end);
}

/** Value of a field from its octets: unfolded, outer white space removed, read as UTF-8, else as Latin-1. */
export function fieldValue(raw: Buffer): string {
  const colon = raw.indexOf(COLON);
  return unfold(decodeOctets(raw.subarray(colon + 1)));
}

/** Text of octets that should be UTF-8 (RFC 6532) and, where they are not, are read as Latin-1: never fails. */
export function decodeOctets(octets: Buffer): string {
  const latin1 = octets.toString('latin1');
  if (!/[\x80-\xff]/.test(latin1)) return latin1;
  const text = octets.toString('utf8');
  // U+FFFD comes from malformed input, or was there: then both readings of it are equally good.
  return text.includes('\ufffd') ? latin1 : text;
}

/** RFC 5322 section 2.2.3: only the line ends go, the white space after them stays. */
function unfold(value: string): string {
  const oneLine = value.includes('\n') ? value.replace(/\r?\n/g, '') : value;
  return trimWhiteSpace(oneLine);
}

/** Spaces and tabs at both ends, in linear time. */
function trimWhiteSpace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isWhiteSpace(text.charCodeAt(start))) start++;
  while (end > start && isWhiteSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isWhiteSpace(code: number): boolean {
  return code === SPACE || code === TAB;
}

function findLayout(message: Buffer, maxBytes: number): Layout | typeof headerTooLarge {
  const first = message[0];
  if (first === SPACE || first === TAB) return { headerEnd: 0, bodyStart: 0 };
  // Two octets more: an empty line right after a header of exactly maxBytes still counts.
  const searched = message.length > maxBytes + 2 ? message.subarray(0, maxBytes + 2) : message;
  const empty = findEmptyLine(searched);
  if (empty) return hasField(searched, empty.headerEnd) ? empty : { headerEnd: 0, bodyStart: 0 };
  const end = firstNonField(searched);
  // Past the limit the last line is cut: that it looks like no field says nothing.
  const cut =
    searched.length > maxBytes && (end === searched.length || lineEnd(searched, end) === searched.length);
  return cut && end > 0 ? headerTooLarge : { headerEnd: end, bodyStart: end };
}

function findEmptyLine(bytes: Buffer): Layout | undefined {
  if (bytes[0] === LF) return { headerEnd: 0, bodyStart: 1 };
  if (bytes[0] === CR && bytes[1] === LF) return { headerEnd: 0, bodyStart: 2 };
  const crlf = bytes.indexOf('\n\r\n', 0, 'latin1');
  const bare = (crlf < 0 ? bytes : bytes.subarray(0, crlf + 1)).indexOf('\n\n', 0, 'latin1');
  if (bare >= 0) return { headerEnd: bare + 1, bodyStart: bare + 2 };
  return crlf < 0 ? undefined : { headerEnd: crlf + 1, bodyStart: crlf + 3 };
}

/** True when the block has a field, or is empty. */
function hasField(bytes: Buffer, end: number): boolean {
  if (end === 0) return true;
  for (let at = 0; at < end; at = lineEnd(bytes, at)) if (nameEnd(bytes, at) >= 0) return true;
  return false;
}

/** Offset of the first line that is neither a field nor continues one. An mbox `From ` line may stand first. */
function firstNonField(bytes: Buffer): number {
  let at = 0;
  if (bytes.length >= 5 && bytes.compare(fromLine, 0, 5, 0, 5) === 0) at = lineEnd(bytes, 0);
  const afterFromLine = at;
  for (; at < bytes.length; at = lineEnd(bytes, at)) {
    const first = bytes[at];
    if ((first === SPACE || first === TAB) && at > afterFromLine) continue;
    if (nameEnd(bytes, at) < 0) break;
  }
  // A From_ line alone makes no header.
  return at === afterFromLine ? 0 : at;
}

/** Offset past the line that begins at `at`. */
function lineEnd(bytes: Buffer, at: number): number {
  const lf = bytes.indexOf(LF, at);
  return lf < 0 ? bytes.length : lf + 1;
}

/**
 * Offset past the field name that begins at `start`, or -1 when the line is no field. RFC 5322 section 3.6.8; white
 * space between name and colon is allowed as section 4.5.1 has it.
 */
function nameEnd(bytes: Buffer, start: number): number {
  let at = start;
  while (at < bytes.length && bytes[at]! > SPACE && bytes[at]! < 127 && bytes[at] !== COLON) at++;
  const end = at;
  if (end === start) return -1;
  while (at < bytes.length && isWhiteSpace(bytes[at]!)) at++;
  return bytes[at] === COLON ? end : -1;
}
