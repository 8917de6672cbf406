/** What FETCH asks for. RFC 9051 section 6.4.5 with RFC 3516, 7162, 8474, 8514 and 8970. */
import { imapLimits } from '../../../../core/base/limits/access.ts';
import { bad } from '../refusal.ts';
import type { Cursor } from './cursor.ts';

export interface Section {
  /** `[1, 2]` for BODY[1.2]; empty for the message itself. */
  readonly path: readonly number[];
  readonly of: 'all' | 'header' | 'text' | 'mime' | 'fields' | 'fieldsNot';
  /** Of `fields` and `fieldsNot`, as written. */
  readonly names: readonly string[];
}

/** Octets `[start, start + length)`. */
export interface PartialRange {
  readonly start: number;
  readonly length: number;
}

export type FetchItem =
  | { readonly item: 'uid' | 'flags' | 'internalDate' | 'size' | 'modseq' | 'saveDate' }
  | { readonly item: 'envelope' | 'body' | 'bodyStructure' | 'emailId' | 'threadId' | 'preview' }
  | {
      readonly item: 'section' | 'binary' | 'binarySize';
      readonly section: Section;
      readonly partial: PartialRange | undefined;
      /** Sets no `\Seen`. */
      readonly peek: boolean;
      /** Before the partial's `<0>` in the response, such as `BODY[1.2]`. */
      readonly label: string;
    };

const simpleItems: Readonly<Record<string, FetchItem['item']>> = {
  UID: 'uid',
  FLAGS: 'flags',
  INTERNALDATE: 'internalDate',
  'RFC822.SIZE': 'size',
  MODSEQ: 'modseq',
  SAVEDATE: 'saveDate',
  ENVELOPE: 'envelope',
  BODYSTRUCTURE: 'bodyStructure',
  EMAILID: 'emailId',
  THREADID: 'threadId',
};
const fast: readonly FetchItem[] = [{ item: 'flags' }, { item: 'internalDate' }, { item: 'size' }];
const macros: Readonly<Record<string, readonly FetchItem[]>> = {
  FAST: fast,
  ALL: [...fast, { item: 'envelope' }],
  FULL: [...fast, { item: 'envelope' }, { item: 'body' }],
};
const whole: Section = { path: [], of: 'all', names: [] };
const itemName = /[A-Za-z0-9.]+/y;

/** One item, a macro, or a list of items. */
export function readFetchItems(input: Cursor): FetchItem[] {
  if (input.next === '(') return unique(input.list(() => readItem(input)));
  const name = input.take(itemName).toUpperCase();
  return [...(macros[name] ?? [readNamed(input, name)])];
}

/** One item of a list. */
export function readItem(input: Cursor): FetchItem {
  return readNamed(input, input.take(itemName).toUpperCase());
}

/** An item asked for twice is told once. */
function unique(items: readonly FetchItem[]): FetchItem[] {
  const seen = new Map(items.map((item) => [JSON.stringify(item), item]));
  return [...seen.values()];
}

function readNamed(input: Cursor, name: string): FetchItem {
  const simple = simpleItems[name];
  if (simple) return { item: simple } as FetchItem;
  switch (name) {
    case 'BODY':
      return input.next === '[' ? readSectionItem(input, 'section', 'BODY', false) : { item: 'body' };
    case 'BODY.PEEK':
      return readSectionItem(input, 'section', 'BODY', true);
    case 'BINARY':
    case 'BINARY.PEEK':
      return readSectionItem(input, 'binary', 'BINARY', name === 'BINARY.PEEK');
    case 'BINARY.SIZE':
      return readSectionItem(input, 'binarySize', 'BINARY.SIZE', true);
    case 'PREVIEW':
      // RFC 8970 section 3.1: LAZY may be answered at once; previews are kept with the index.
      if (input.skip(' (')) {
        if (input.word() !== 'LAZY') throw bad('LAZY was expected');
        input.expect(')');
      }
      return { item: 'preview' };
    case 'RFC822':
      return { item: 'section', section: whole, partial: undefined, peek: false, label: name };
    case 'RFC822.HEADER':
      return {
        item: 'section',
        section: { ...whole, of: 'header' },
        partial: undefined,
        peek: true,
        label: name,
      };
    case 'RFC822.TEXT':
      return {
        item: 'section',
        section: { ...whole, of: 'text' },
        partial: undefined,
        peek: false,
        label: name,
      };
    default:
      throw bad(`there is nothing to fetch named ${name.slice(0, 40)}`);
  }
}

function readSectionItem(
  input: Cursor,
  item: 'section' | 'binary' | 'binarySize',
  name: string,
  peek: boolean,
): FetchItem {
  input.expect('[');
  const section = readSection(input, item === 'section');
  input.expect(']');
  const partial = item !== 'binarySize' && input.next === '<' ? readPartial(input) : undefined;
  return { item, section, partial, peek, label: `${name}[${sectionText(section)}]` };
}

/** A section as URLs have it, without brackets. */
export function readSectionText(input: Cursor): Section {
  const section = readSection(input, true);
  input.end();
  return section;
}

function readSection(input: Cursor, withText: boolean): Section {
  const path: number[] = [];
  while (/[0-9]/.test(input.next)) {
    if (path.length >= imapLimits.sectionDepthMax) throw bad('the section is too deep', 'LIMIT');
    path.push(input.nonZeroNumber());
    if (!input.skip('.')) return { path, of: 'all', names: [] };
  }
  if (input.next === ']' || input.isAtEnd) {
    if (path.length > 0) throw bad('a part number was expected');
    return whole;
  }
  const of = withText ? input.take(/[A-Za-z.]+/y).toUpperCase() : '';
  switch (of) {
    case 'HEADER':
      return { path, of: 'header', names: [] };
    case 'TEXT':
      return { path, of: 'text', names: [] };
    case 'MIME':
      if (path.length === 0) throw bad('MIME needs a part number');
      return { path, of: 'mime', names: [] };
    case 'HEADER.FIELDS':
    case 'HEADER.FIELDS.NOT': {
      input.space();
      const names = input.list(() => fieldName(input.astring()));
      return { path, of: of === 'HEADER.FIELDS' ? 'fields' : 'fieldsNot', names };
    }
    default:
      throw bad('there is no such section');
  }
}

/** Names stand in the response, so that they must not end its line. */
function fieldName(name: string): string {
  if (/[\r\n\0]/.test(name)) throw bad('a field name was expected');
  return name;
}

function readPartial(input: Cursor): PartialRange {
  input.expect('<');
  const start = input.number();
  input.expect('.');
  const length = input.nonZeroNumber();
  input.expect('>');
  return { start, length };
}

const sectionNames: Readonly<Record<Section['of'], string>> = {
  all: '',
  header: 'HEADER',
  text: 'TEXT',
  mime: 'MIME',
  fields: 'HEADER.FIELDS',
  fieldsNot: 'HEADER.FIELDS.NOT',
};

/** As the response names it. */
function sectionText({ path, of, names }: Section): string {
  const name = sectionNames[of];
  const listed = names.length > 0 ? ` (${names.map(fieldNameText).join(' ')})` : '';
  return [...path, ...(name === '' ? [] : [name])].join('.') + listed;
}

function fieldNameText(name: string): string {
  return /^[^\0-\x20\x7f-\xff(){%*"\\\]]+$/.test(name) ? name : `"${name.replace(/["\\]/g, '\\$&')}"`;
}
