/** What is worth knowing of a message without reading it again: structure, preview, ids, and its text for searches. */
import { hash } from 'node:crypto';
import { indexLimits } from '../../../core/base/limits/mailbox.ts';
import { headerScanBytesMax } from '../../../core/base/limits/message.ts';
import { parseAddressList } from '../../../core/mail/address-list.ts';
import { parseDate } from '../../../core/mail/date.ts';
import { decodeWords } from '../../../core/mail/encoded-word.ts';
import { decodeOctets, HeaderBlock, headerTooLarge, parseHeader } from '../../../core/mail/header.ts';
import { bodyStructureText } from '../../../core/mail/imap-body-structure.ts';
import { type EnvelopeAddress, envelopeAddresses, envelopeText } from '../../../core/mail/imap-envelope.ts';
import {
  fieldOctets,
  type MimePart,
  partHeader,
  readMimeStructure,
} from '../../../core/mail/mime-structure.ts';
import type { MessageFacts } from '../mailbox.ts';
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

/** What the header tells. */
export interface HeadFacts extends Pick<MessageFacts, 'envelope'> {
  readonly sort: SortFacts;
  /** Lines of `name: value`, unfolded, decoded, folded in case; UTF-8. */
  readonly header: Buffer;
}

export interface StructureFacts extends Pick<MessageFacts, 'body' | 'bodyStructure'> {
  /** Octets with CRLF line ends. */
  readonly size: number;
}

export interface TextFacts extends Pick<MessageFacts, 'preview' | 'emailId' | 'threadId'> {
  /** Headers and text of all parts, decoded, folded in case; UTF-8. Begins with what `HeadFacts.header` is. */
  readonly text: Buffer;
}

/** Never fails. @param begin of a message, its header in it; LF line ends */
export function readHead(begin: Buffer): HeadFacts {
  const parsed = parseHeader(begin, headerScanBytesMax);
  const header = parsed === headerTooLarge ? noHeader : parsed;
  const fields = readFields(header);
  return {
    envelope: withoutNul(envelopeText(header)),
    sort: sortFacts(fields),
    header: Buffer.from(`${fold(headerLines(fields))}\n`),
  };
}

const noHeader = new HeaderBlock(Buffer.alloc(0), Buffer.alloc(0), 0);

/** Never fails. @param message LF line ends */
export function readStructure(message: Buffer): StructureFacts {
  const structure = readMimeStructure(message, 'lf');
  return {
    body: withoutNul(bodyStructureText(message, structure, false)),
    bodyStructure: withoutNul(bodyStructureText(message, structure, true)),
    size: message.length + countLines(message, structure),
  };
}

/** Never fails. @param message LF line ends */
export function readText(message: Buffer): TextFacts {
  const structure = readMimeStructure(message, 'lf');
  const fields = readFields(partHeader(message, structure));
  const texts: string[] = [];
  collectText(message, structure, headerLines(fields), texts, { left: indexLimits.textCharactersMax });
  const digest = hash('sha256', message).slice(0, 32);
  // The root of a conversation is what all its messages name; a message that names nothing is one by itself.
  const { references, messageId } = conversation(firstFields(fields));
  const root = references[0] || messageId;
  return {
    preview: previewOf(message, structure),
    emailId: `M${digest}`,
    threadId: root ? `T${hash('sha256', root).slice(0, 32)}` : `T${digest}`,
    text: Buffer.from(texts.join('\n')),
  };
}

/** Line ends of the header and the body. */
function countLines(message: Buffer, { bodyStart, lines }: MimePart): number {
  let count = lines;
  for (let at = message.indexOf(LF); at >= 0 && at < bodyStart; at = message.indexOf(LF, at + 1)) count += 1;
  return count;
}

const LF = 10;

interface Field {
  /** Lower case. */
  readonly name: string;
  /** Unfolded, encoded words decoded. */
  readonly value: string;
  /** Of a field with addresses: the value as written, as Latin-1, unfolded. */
  readonly octets?: string;
}

function readFields(header: HeaderBlock): Field[] {
  const fields: Field[] = [];
  for (let index = 0; index < header.starts.length; index += 1) {
    const nameEnd = header.nameEnds[index]!;
    if (nameEnd < 0) continue;
    const name = header.bytes.toString('latin1', header.starts[index]!, nameEnd).toLowerCase();
    const octets = fieldOctets(header, index);
    const value = textOf(octets);
    if (addressFields.has(name)) fields.push(...addressField(name, value, octets));
    else fields.push({ name, value });
  }
  return fields;
}

const beyondAscii = /[\x80-\xff]/;
const addressFields: ReadonlySet<string> = new Set(['bcc', 'cc', 'from', 'reply-to', 'sender', 'to']);

/** Addresses that are written with comments or spaces in them, again without: that is how they are looked for. */
function addressField(name: string, value: string, octets: string): Field[] {
  const field = { name, value, octets };
  if (!/[(\s"]/.test(value)) return [field];
  const lower = value.toLowerCase();
  const hidden = parseAddressList(value).filter(({ address }) => !lower.includes(address.toLowerCase()));
  return [field, ...hidden.map(({ address }) => ({ name, value: address }))];
}

function headerLines(fields: readonly Field[]): string {
  return fields.map(({ name, value }) => `${name}: ${value}`).join('\n');
}

function sortFacts(fields: readonly Field[]): SortFacts {
  const first = firstFields(fields);
  const date = first.get('date')?.value ?? '';
  const { base, isReplyOrForward } = baseSubject(first.get('subject')?.value ?? '');
  const from = firstAddress(first.get('from')?.octets);
  const to = firstAddress(first.get('to')?.octets);
  const cc = firstAddress(first.get('cc')?.octets);
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
    ...conversation(first),
  };
}

function firstFields(fields: readonly Field[]): ReadonlyMap<string, Field> {
  const first = new Map<string, Field>();
  for (const field of fields) if (!first.has(field.name)) first.set(field.name, field);
  return first;
}

function conversation(first: ReadonlyMap<string, Field>): Pick<SortFacts, 'messageId' | 'references'> {
  const ids = (name: string) => messageIds(first.get(name)?.value ?? '');
  const messageId = ids('message-id')[0] ?? '';
  const references = ids('references');
  if (references.length > 0) return { messageId, references };
  // RFC 5256 section 3: without References, the first id of In-Reply-To.
  return { messageId, references: ids('in-reply-to').slice(0, 1) };
}

/** RFC 5256 section 3: valid ids alone, however they are written. */
function messageIds(value: string): string[] {
  if (value === '') return [];
  const found = value.slice(0, indexLimits.referencesCharactersMax).match(/<(?:"[^"<>]*"|[^<>"])*>/g) ?? [];
  return found.map(normalised).filter((id) => /^<[^<>]+@[^<>]*>$/.test(id));
}

/** Quotes, and white space that is not quoted, make no other id: `<"a" @b>` is `<a@b>`. */
function normalised(id: string): string {
  if (!/[\s"]/.test(id)) return id;
  return id.replace(/"([^"]*)"|\s+/g, (_, quoted: string | undefined) => quoted?.replaceAll('\\', '') ?? '');
}

/** Texts as ENVELOPE has them: a name with a comma in an encoded word is one name. */
function firstAddress(octets: string | undefined): EnvelopeAddress | undefined {
  return octets === undefined ? undefined : envelopeAddresses(octets).next().value;
}

/** RFC 5256 section 3: addr-mailbox of the first address; of a group that is its name. */
function mailboxOf(address: EnvelopeAddress | undefined): string {
  return fold(textOf(address?.mailbox));
}

/** RFC 5957 section 2: the name, else the whole address, else addr-mailbox. */
function displayOf(address: EnvelopeAddress | undefined): string {
  const { name, mailbox, host } = address ?? {};
  return fold(textOf(name) || (host ? `${textOf(mailbox)}@${textOf(host)}` : textOf(mailbox)));
}

function textOf(octets = ''): string {
  return decodeWords(beyondAscii.test(octets) ? decodeOctets(Buffer.from(octets, 'latin1')) : octets);
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

/** Headers and texts of a part and of those in it, folded in case, LF line ends. */
function collectText(message: Buffer, part: MimePart, header: string, texts: string[], budget: Budget): void {
  if (budget.left <= 0) return;
  const inside = (inner: MimePart) =>
    collectText(message, inner, headerLines(readFields(partHeader(message, inner))), texts, budget);
  take(texts, header, budget);
  if (part.parts) part.parts.forEach(inside);
  else if (part.message) inside(part.message);
  else if (part.type === 'TEXT') take(texts, decodePart(message, part, budget.left), budget);
}

function take(texts: string[], text: string, budget: Budget): void {
  const taken = text.length > budget.left ? text.slice(0, budget.left) : text;
  texts.push(fold(taken.includes('\r\n') ? taken.replaceAll('\r\n', '\n') : taken));
  budget.left -= text.length;
}

/** A NUL is in no IMAP string, and ends a text in SQLite. */
function withoutNul(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '?') : text;
}
