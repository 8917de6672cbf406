/** What is worth knowing of a message without reading it again: structure, preview, ids, and its text for searches. */
import { hash } from 'node:crypto';
import { indexLimits } from '../../../core/base/limits/mailbox.ts';
import { headerScanBytesMax } from '../../../core/base/limits/message.ts';
import { type HeaderAddress, parseAddressList } from '../../../core/mail/address-list.ts';
import { parseDate } from '../../../core/mail/date.ts';
import { decodeWords } from '../../../core/mail/encoded-word.ts';
import { decodeOctets, HeaderBlock, headerTooLarge, parseHeader } from '../../../core/mail/header.ts';
import { bodyStructureText } from '../../../core/mail/imap-body-structure.ts';
import { envelopeText } from '../../../core/mail/imap-envelope.ts';
import {
  fieldOctets,
  type MimePart,
  partHeader,
  readMimeStructure,
} from '../../../core/mail/mime-structure.ts';
import { baseSubject } from '../search/base-subject.ts';
import { decodePart } from './decode-part.ts';
import { fold } from './fold.ts';
import { previewOf } from './preview.ts';

/** What SORT and THREAD compare. RFC 5256 section 2.2 and 3, RFC 5957. Texts are folded. */
export interface SortFacts {
  /** Epoch milliseconds of the Date field. */
  readonly sentAt: number | undefined;
  /** Its day as it is written there, whatever the zone: `2026-11-21`. */
  readonly sentDay: string | undefined;
  readonly subject: string;
  readonly isReplyOrForward: boolean;
  readonly from: string;
  readonly to: string;
  readonly cc: string;
  readonly displayFrom: string;
  readonly displayTo: string;
  /** In angle brackets; '' when there is none. */
  readonly messageId: string;
  /** Oldest first. */
  readonly references: readonly string[];
}

export interface Facts {
  readonly envelope: string;
  readonly body: string;
  readonly bodyStructure: string;
  readonly preview: string;
  readonly emailId: string;
  readonly threadId: string;
  readonly sort: SortFacts;
  /** Lines of `name: value`, unfolded, decoded, folded in case; UTF-8. */
  readonly header: Buffer;
  /** Headers and text of all parts, decoded, folded in case; UTF-8. */
  readonly text: Buffer;
}

/** Never fails. @param message CRLF line ends */
export function readFacts(message: Buffer): Facts {
  const structure = readMimeStructure(message);
  const header = partHeader(message, structure);
  const fields = readFields(header);
  const sort = sortFacts(fields);
  const texts: string[] = [];
  collectText(message, structure, fields, texts, { left: indexLimits.textCharactersMax });
  const digest = hash('sha256', message).slice(0, 32);
  // The root of a conversation is what all its messages name; a message that names nothing is one by itself.
  const root = sort.references[0] || sort.messageId;
  return {
    envelope: withoutNul(envelopeText(header)),
    body: withoutNul(bodyStructureText(message, structure, false)),
    bodyStructure: withoutNul(bodyStructureText(message, structure, true)),
    preview: previewOf(message, structure),
    emailId: `M${digest}`,
    threadId: root ? `T${hash('sha256', root).slice(0, 32)}` : `T${digest}`,
    sort,
    header: Buffer.from(fold(fields.map(({ name, value }) => `${name}: ${value}\n`).join(''))),
    text: Buffer.from(fold(texts.join('\n'))),
  };
}

/** The envelope alone. @param begin of a message, CRLF line ends, its header in it */
export function readEnvelope(begin: Buffer): string {
  const header = parseHeader(begin, headerScanBytesMax);
  return withoutNul(envelopeText(header === headerTooLarge ? noHeader : header));
}

const noHeader = new HeaderBlock(Buffer.alloc(0), Buffer.alloc(0), 0);

interface Field {
  /** Lower case. */
  readonly name: string;
  /** Unfolded, encoded words decoded. */
  readonly value: string;
}

function readFields(header: HeaderBlock): Field[] {
  const fields: Field[] = [];
  for (let index = 0; index < header.starts.length; index += 1) {
    const nameEnd = header.nameEnds[index]!;
    if (nameEnd < 0) continue;
    const name = header.bytes.toString('latin1', header.starts[index]!, nameEnd).toLowerCase();
    const value = decodeWords(decodeOctets(Buffer.from(fieldOctets(header, index), 'latin1')));
    fields.push({ name, value }, ...plainAddresses(name, value));
  }
  return fields;
}

const addressFields: ReadonlySet<string> = new Set(['bcc', 'cc', 'from', 'reply-to', 'sender', 'to']);

/** Addresses that are written with comments or spaces in them, without: that is how they are looked for. */
function plainAddresses(name: string, value: string): Field[] {
  if (!addressFields.has(name) || !/[(\s"]/.test(value)) return [];
  const hidden = parseAddressList(value).filter(
    ({ address }) => !value.toLowerCase().includes(address.toLowerCase()),
  );
  return hidden.map(({ address }) => ({ name, value: address }));
}

function sortFacts(fields: readonly Field[]): SortFacts {
  const field = (name: string) => fields.find((each) => each.name === name)?.value ?? '';
  const date = field('date');
  const { base, isReplyOrForward } = baseSubject(field('subject'));
  const from = parseAddressList(field('from'))[0];
  const to = parseAddressList(field('to'))[0];
  const cc = parseAddressList(field('cc'))[0];
  const messageId = messageIds(field('message-id'))[0] ?? '';
  const references = messageIds(field('references'));
  return {
    sentAt: parseDate(date),
    sentDay: dayOf(date),
    subject: fold(base),
    isReplyOrForward,
    from: mailboxOf(from),
    to: mailboxOf(to),
    cc: mailboxOf(cc),
    displayFrom: displayOf(from),
    displayTo: displayOf(to),
    messageId,
    // RFC 5256 section 3: without References, the first id of In-Reply-To.
    references: references.length > 0 ? references : messageIds(field('in-reply-to')).slice(0, 1),
  };
}

/** RFC 5256 section 3: valid ids alone, each once. */
function messageIds(value: string): string[] {
  return [
    ...new Set(value.slice(0, indexLimits.referencesCharactersMax).match(/<[^<>\s]+@[^<>\s]*>/g) ?? []),
  ];
}

/** RFC 5256 section 2.2: the local part of the first address. */
function mailboxOf(address: HeaderAddress | undefined): string {
  const text = address?.address ?? '';
  const at = text.lastIndexOf('@');
  return fold(at < 0 ? text : text.slice(0, at));
}

/** RFC 5957 section 3: the name, else the whole address. */
function displayOf(address: HeaderAddress | undefined): string {
  return fold(address?.name || address?.address || '');
}

const months = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ');

/** RFC 9051 section 6.4.4: SENTON and its like disregard time and zone. */
function dayOf(date: string): string | undefined {
  const match = /(\d{1,2})\s+([a-z]{3})[a-z]*\s+(\d{4}|\d{2})\b/i.exec(date);
  const month = match ? months.indexOf(match[2]!.toLowerCase()) + 1 : 0;
  if (!match || month === 0) return undefined;
  const year = Number(match[3]);
  // RFC 5322 section 4.3.
  const full = match[3]!.length === 4 ? year : year < 50 ? 2000 + year : 1900 + year;
  return `${full}-${String(month).padStart(2, '0')}-${match[1]!.padStart(2, '0')}`;
}

interface Budget {
  left: number;
}

/** Headers and texts of a part and of those in it. */
function collectText(
  message: Buffer,
  part: MimePart,
  header: readonly Field[],
  texts: string[],
  budget: Budget,
): void {
  if (budget.left <= 0) return;
  const inside = (inner: MimePart) =>
    collectText(message, inner, readFields(partHeader(message, inner)), texts, budget);
  take(texts, header.map(({ name, value }) => `${name}: ${value}`).join('\n'), budget);
  if (part.parts) part.parts.forEach(inside);
  else if (part.message) inside(part.message);
  else if (part.type === 'TEXT') take(texts, decodePart(message, part, budget.left), budget);
}

function take(texts: string[], text: string, budget: Budget): void {
  texts.push(text.slice(0, budget.left));
  budget.left -= text.length;
}

/** A NUL is in no IMAP string, and ends a text in SQLite. */
function withoutNul(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '?') : text;
}
