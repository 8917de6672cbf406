/** Messages to the text of an mbox and back: quoting, and the fields that no client sees. */

import { type BlockValues, fieldBlock } from './fields.ts';
import { endOfMessage, MboxQuoter } from './format.ts';
import { type MboxMessage, parseMessage } from './parse.ts';

const LF = 10;

/** The message with another block of fields, as it stands in the file, the empty line at its end included. */
export function withBlock(text: Buffer, message: MboxMessage, values: BlockValues): Buffer[] {
  const headerEnd = endOfHeader(text, message);
  const header = withoutFields(text, message, message.headerStart, headerEnd);
  return [
    text.subarray(message.start, message.headerStart),
    ...terminated(header),
    Buffer.from(fieldBlock(values)),
    ...(headerEnd === message.bodyStart ? [Buffer.from('\n')] : []),
    text.subarray(headerEnd, message.end),
  ];
}

/** Octets as a client sees them, LF line ends: no From_ line, no fields of readers, quoting undone. */
export function contentOf(text: Buffer, message: MboxMessage): Buffer {
  const headerEnd = endOfHeader(text, message);
  const header = withoutFields(text, message, message.headerStart, headerEnd);
  const separator = text.subarray(headerEnd, message.bodyStart);
  return Buffer.concat([
    ...header,
    separator,
    ...unquoted(text.subarray(message.bodyStart, message.bodyEnd)),
  ]);
}

/** A message to be put at the end of an mbox, with what must stand before it. @param lastTwo octets of the mbox */
export function composed(
  content: Buffer,
  fromLine: string,
  values: BlockValues,
  lastTwo: Uint8Array,
): Buffer {
  // As if it stood in an mbox already, so that fields of readers which came with it are found and left out.
  const begin = Buffer.from(fromLine);
  const text = Buffer.concat([begin, content]);
  const message = parseMessage(text, 0, text.length);
  const headerEnd = endOfHeader(text, message);
  const quoter = new MboxQuoter();
  return Buffer.concat([
    Buffer.from(endOfMessage(lastTwo)),
    begin,
    ...terminated(withoutFields(text, message, message.headerStart, headerEnd)),
    Buffer.from(`${fieldBlock(values)}\n`),
    ...quoter.quote(text.subarray(message.bodyStart)),
    ...quoter.end(),
  ]);
}

/** Offset of the empty line after the header, or of the end where there is none. */
function endOfHeader(text: Buffer, { bodyStart, headerStart }: MboxMessage): number {
  if (bodyStart > headerStart && text[bodyStart - 1] === LF) {
    const before = bodyStart - 1;
    if (before === headerStart || text[before - 1] === LF) return before;
    if (text[before - 1] === 13 && (before - 1 === headerStart || text[before - 2] === LF)) return before - 1;
  }
  return bodyStart;
}

function withoutFields(text: Buffer, { fields }: MboxMessage, start: number, end: number): Buffer[] {
  const kept: Buffer[] = [];
  let at = start;
  for (const field of fields) {
    if (field.start > at) kept.push(text.subarray(at, field.start));
    at = field.end;
  }
  if (end > at) kept.push(text.subarray(at, end));
  return kept;
}

function terminated(header: Buffer[]): Buffer[] {
  const last = header.at(-1);
  return last && last.at(-1) !== LF ? [...header, Buffer.from('\n')] : header;
}

const quotedFrom = Buffer.from('>From ');

/** One `>` less on lines of `>From `, `>>From ` and so on. */
function unquoted(body: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  let written = 0;
  for (let at = body.indexOf(quotedFrom); at >= 0; at = body.indexOf(quotedFrom, at + 1)) {
    let lineStart = at;
    while (lineStart > 0 && body[lineStart - 1] === 62) lineStart -= 1;
    if (lineStart > 0 && body[lineStart - 1] !== LF) continue;
    parts.push(body.subarray(written, at));
    written = at + 1;
  }
  parts.push(body.subarray(written));
  return parts;
}
