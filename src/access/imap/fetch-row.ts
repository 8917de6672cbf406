/** Writes FETCH responses: how each item is written is decided once for all messages. RFC 9051 section 7.5.2. */
import { imapString } from '../../../core/mail/imap-text.ts';
import type { MessageFacts } from '../../mailbox/mailbox.ts';
import { type OpenedMessage, partOf } from './body-section.ts';
import type { FetchItem } from './parse/fetch-item.ts';
import type { Session } from './session.ts';
import { dateTimeText, octetsOf } from './write/text.ts';

/** One message of the view. */
interface Row {
  readonly uid: number;
  readonly seq: number;
  /** In the snapshot; -1 when the message is gone. */
  readonly index: number;
  readonly facts: MessageFacts | undefined;
}

type SectionItem = Extract<FetchItem, { section: unknown }>;
type PlainItem = Exclude<FetchItem, SectionItem>['item'];

export class RowWriter {
  readonly #session: Session;
  readonly #items: readonly FetchItem[];
  /** Messages that this FETCH made `\Seen`: their flags are told, asked for or not. */
  readonly #seen: ReadonlySet<number>;
  readonly #tellsFlags: boolean;
  readonly #hasSections: boolean;
  /** Message number of the row before: the next one mostly follows. */
  #lastSeq = 0;

  constructor(session: Session, items: readonly FetchItem[], seen: ReadonlySet<number>) {
    this.#session = session;
    this.#items = items;
    this.#seen = seen;
    this.#tellsFlags = items.some(({ item }) => item === 'flags');
    this.#hasSections = items.some((item) => 'section' in item);
  }

  /** @param message where sections are asked for */
  write(uid: number, facts: MessageFacts | undefined, message: OpenedMessage | undefined): void {
    const row = this.#rowOf(uid, facts);
    const begin = this.#session.has('UIDONLY') ? `* ${uid} UIDFETCH (` : `* ${row.seq} FETCH (`;
    const end = this.#seen.has(uid) && !this.#tellsFlags ? `${this.#changedFlags(row)})\r\n` : ')\r\n';
    if (this.#hasSections) this.#writeSections(begin, row, message!, end);
    else this.#session.out.write(begin + this.#plainText(row) + end);
  }

  #rowOf(uid: number, facts: MessageFacts | undefined): Row {
    const { view } = this.#session.selected;
    const seq = view.uids[this.#lastSeq] === uid ? this.#lastSeq + 1 : view.seqOf(uid);
    this.#lastSeq = seq;
    return { uid, seq, index: view.indexAt(seq), facts };
  }

  #plainText(row: Row): string {
    let text = '';
    for (let at = 0; at < this.#items.length; at += 1) {
      if (at > 0) text += ' ';
      text += itemText(this.#session, row, this.#items[at]!.item as PlainItem);
    }
    return text;
  }

  #writeSections(begin: string, row: Row, message: OpenedMessage, end: string): void {
    const { out } = this.#session;
    // What cannot be decoded is found out before the response has begun.
    const sections = this.#items.map((item) =>
      'section' in item ? sectionOctets(item, message) : undefined,
    );
    let before = begin;
    for (const [at, item] of this.#items.entries()) {
      out.write(before);
      before = ' ';
      if ('section' in item) this.#writeSection(item, sections[at]);
      else out.write(itemText(this.#session, row, item.item));
    }
    out.write(end);
  }

  #writeSection(item: SectionItem, octets: Buffer | undefined): void {
    const { out } = this.#session;
    if (item.item === 'binarySize') {
      out.write(`${item.label} ${octets?.length ?? 0}`);
      return;
    }
    const label = item.partial ? `${item.label}<${item.partial.start}>` : item.label;
    if (!octets) {
      out.write(`${label} NIL`);
      return;
    }
    const part = partOf(octets, item.partial);
    // NUL may stand in a literal8 alone. RFC 3516 section 4.2.
    const isBinary = item.item === 'binary' && part.includes(0);
    out.write(`${label} ${isBinary ? '~' : ''}{${part.length}}\r\n`);
    out.octets(part);
  }

  #changedFlags(row: Row): string {
    const flags = ` ${itemText(this.#session, row, 'flags')}`;
    return this.#session.tellsModseq ? `${flags} ${itemText(this.#session, row, 'modseq')}` : flags;
  }
}

function itemText(session: Session, { uid, seq, index, facts }: Row, item: PlainItem): string {
  const { selected } = session;
  const { columns } = selected.view.snapshot.data;
  switch (item) {
    case 'uid':
      return `UID ${uid}`;
    case 'flags':
      return `FLAGS (${selected.flagsText(seq, session.tellsRecent)})`;
    case 'modseq':
      return `MODSEQ (${selected.modseqOf(seq)})`;
    case 'size':
      return `RFC822.SIZE ${columns.size[index]}`;
    case 'internalDate':
      return `INTERNALDATE ${dateTimeText(columns.internalDate[index]!)}`;
    case 'saveDate':
      return `SAVEDATE ${dateTimeText(columns.saveDate[index]!)}`;
    case 'envelope':
      return `ENVELOPE ${facts!.envelope}`;
    case 'body':
      return `BODY ${facts!.body}`;
    case 'bodyStructure':
      return `BODYSTRUCTURE ${facts!.bodyStructure}`;
    case 'preview':
      return `PREVIEW ${imapString(octetsOf(facts!.preview))}`;
    case 'emailId':
      return `EMAILID (${facts!.emailId})`;
    case 'threadId':
      // RFC 8474 section 5.3: NIL where there is none.
      return facts!.threadId === '' ? 'THREADID NIL' : `THREADID (${facts!.threadId})`;
  }
}

function sectionOctets(item: SectionItem, message: OpenedMessage): Buffer | undefined {
  return item.item === 'section' ? message.section(item.section) : message.binary(item.section);
}
