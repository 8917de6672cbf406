/**
 * An mbox as offsets: where each message lies, and what mail readers keep in its header: Status, X-Status, X-Keywords,
 * X-UID, and the folder's X-IMAPbase. RFC 4155; the fields as UW IMAP and Dovecot write them.
 */
import { answeredBit, deletedBit, draftBit, flaggedBit, seenBit } from '../flags.ts';

export interface MboxMessage {
  /** Offset of the From_ line. */
  readonly start: number;
  readonly headerStart: number;
  /** Past the empty line that ends the header. */
  readonly bodyStart: number;
  /** Past the body, without the empty line before the next From_ line. */
  readonly bodyEnd: number;
  /** Past everything that is this message's: the next one's start, or the end of the file. */
  readonly end: number;
  /** Epoch milliseconds of the From_ line; undefined when it cannot be read. */
  readonly internalDate: number | undefined;
  /** Of X-UID; 0 when there is none. */
  readonly uid: number;
  /** System flags. */
  readonly flags: number;
  readonly keywords: readonly string[];
  /** The header fields above, as offsets; those that lie together come as one. */
  readonly fields: readonly { readonly start: number; readonly end: number }[];
}

/** X-IMAPbase or X-IMAP: what the first message holds for the whole folder. */
export interface MboxBase {
  readonly uidValidity: number;
  readonly lastUid: number;
  readonly keywords: readonly string[];
}

export interface ParsedMbox {
  readonly messages: readonly MboxMessage[];
  readonly base: MboxBase | undefined;
  /** The first message is UW IMAP's own, which no user sees; its text. */
  readonly pseudo: MboxMessage | undefined;
}

const LF = 10;
const CR = 13;
const from = Buffer.from('From ');
const lineFrom = Buffer.from('\nFrom ');

/** Linear time, never fails: what stands before the first From_ line belongs to no message. */
export function parseMbox(text: Buffer): ParsedMbox {
  const starts = findStarts(text);
  let base: MboxBase | undefined;
  let pseudo: MboxMessage | undefined;
  const messages: MboxMessage[] = [];
  for (const [at, start] of starts.entries()) {
    const message = parseMessage(text, start, starts[at + 1] ?? text.length);
    if (at === 0) {
      base = message.base;
      if (message.isPseudo) {
        pseudo = message;
        continue;
      }
    }
    messages.push(message);
  }
  return { messages, base, pseudo };
}

function findStarts(text: Buffer): number[] {
  const starts: number[] = [];
  if (text.subarray(0, from.length).equals(from) && readFromLine(text, 0)) starts.push(0);
  for (let at = text.indexOf(lineFrom); at >= 0; at = text.indexOf(lineFrom, at + 1)) {
    if (readFromLine(text, at + 1)) starts.push(at + 1);
  }
  return starts;
}

/** A line that begins so in a body, unquoted, has mostly no date. */
const fromDate =
  /^From .*?\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +(\d{1,2}),? +(\d\d):(\d\d)(?::(\d\d))?(?: +[A-Z][A-Za-z0-9+-]{0,8}| +[+-]\d{4})* +(\d{4})\b/;
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
/** A From_ line is a path and a date. */
const fromLineMax = 2048;

function readFromLine(text: Buffer, start: number): { date: number } | undefined {
  const end = text.indexOf(LF, start);
  if (end < 0 || end - start > fromLineMax) return undefined;
  const match = fromDate.exec(text.toString('latin1', start, end));
  if (!match) return undefined;
  const [, month, day, hour, minute, second, year] = match;
  const date = Date.UTC(
    Number(year),
    months.indexOf(month!),
    Number(day),
    Number(hour),
    Number(minute),
    Number(second ?? 0),
  );
  return { date };
}

export interface ParsedMessage extends MboxMessage {
  readonly base: MboxBase | undefined;
  readonly isPseudo: boolean;
}

/** @param start of the From_ line */
export function parseMessage(text: Buffer, start: number, end: number): ParsedMessage {
  const headerStart = text.indexOf(LF, start) + 1;
  const found: Found = { uid: 0, flags: 0, keywords: [], fields: [], base: undefined, isPseudo: false };
  let at = headerStart;
  let bodyStart = end;
  while (at < end) {
    const next = lineEnd(text, at, end);
    if (isEmptyLine(text, at, next)) {
      bodyStart = next;
      break;
    }
    let fieldEnd = next;
    while (fieldEnd < end && (text[fieldEnd] === 32 || text[fieldEnd] === 9))
      fieldEnd = lineEnd(text, fieldEnd, end);
    readField(text, at, fieldEnd, found);
    at = fieldEnd;
  }
  const bodyEnd = endOfBody(text, bodyStart, end);
  const internalDate = readFromLine(text, start)?.date;
  return { start, headerStart, bodyStart, bodyEnd, end, internalDate, ...found };
}

function lineEnd(text: Buffer, at: number, end: number): number {
  const lf = text.indexOf(LF, at);
  return lf < 0 || lf >= end ? end : lf + 1;
}

function isEmptyLine(text: Buffer, at: number, next: number): boolean {
  return text[at] === LF || (text[at] === CR && next === at + 2);
}

/** The empty line before the next From_ line parts messages. */
function endOfBody(text: Buffer, bodyStart: number, end: number): number {
  if (end - bodyStart >= 1 && text[end - 1] === LF && (end - bodyStart === 1 || text[end - 2] === LF))
    return end - 1;
  return end;
}

interface Found {
  uid: number;
  flags: number;
  keywords: readonly string[];
  fields: { start: number; end: number }[];
  base: MboxBase | undefined;
  isPseudo: boolean;
}

const names = new Set(['status', 'x-status', 'x-keywords', 'x-uid', 'x-imapbase', 'x-imap']);
const statusBits = new Map([
  ['R', seenBit],
  ['A', answeredBit],
  ['F', flaggedBit],
  ['T', draftBit],
  ['D', deletedBit],
]);

function readField(text: Buffer, start: number, end: number, found: Found): void {
  const initial = text[start]! | 32;
  // s, x: most fields begin with another letter.
  if (initial !== 115 && initial !== 120) return;
  const colon = text.indexOf(58, start);
  if (colon < 0 || colon >= end || colon - start > 10) return;
  const name = text.toString('latin1', start, colon).trimEnd().toLowerCase();
  if (!names.has(name)) return;
  const last = found.fields.at(-1);
  if (last?.end === start) last.end = end;
  else found.fields.push({ start, end });
  const value = text.toString('utf8', colon + 1, end).trim();
  if (name === 'status' || name === 'x-status') {
    for (const letter of value) found.flags |= statusBits.get(letter) ?? 0;
  } else if (name === 'x-keywords') found.keywords = words(value);
  else if (name === 'x-uid') found.uid = /^\d{1,10}$/.test(value) ? Number(value) : 0;
  else {
    found.base = readBase(value);
    found.isPseudo = name === 'x-imap' && found.base !== undefined;
  }
}

function readBase(value: string): MboxBase | undefined {
  const [uidValidity, lastUid, ...keywords] = words(value);
  if (!/^\d{1,10}$/.test(uidValidity ?? '') || !/^\d{1,10}$/.test(lastUid ?? '')) return undefined;
  return { uidValidity: Number(uidValidity), lastUid: Number(lastUid), keywords };
}

function words(value: string): string[] {
  return value.split(/\s+/).filter((word) => word !== '');
}
