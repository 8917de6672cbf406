/**
 * One command's text, read from left to right: the pieces of grammar that all commands share. RFC 9051 section 9.
 * Octets are characters of a Latin-1 string; a literal that fits in memory stands behind its `{n}CRLF`, one that went
 * to disk is handed out by `message`. Never looks back, so that the time is linear.
 */
import { imapLimits } from '../../../../core/base/limits/access.ts';
import type { Upload } from '../../../mailbox/mailbox.ts';
import { bad } from '../refusal.ts';

/** A literal that went to disk as it came. */
export interface MessageLiteral {
  readonly upload: Upload;
  readonly octets: number;
}

const atomChars = /[^\0-\x20\x7f-\xff(){%*"\\\]]+/y;
/** RFC 9051 has no 8-bit in atoms; names that come so are taken for UTF-8. */
const astringChars = /[^\0-\x20\x7f(){%*"\\]+/y;
const listMailboxChars = /[^\0-\x20\x7f(){"\\]+/y;
const tagChars = /[^\0-\x20\x7f-\xff(){%*"\\+]+/y;
const digits = /[0-9]+/y;
const quoted = /"((?:[^"\\\r\n\0]|\\["\\])*)"/y;
const literalMark = /~?\{([0-9]{1,10})\+?\}\r\n/y;

export class Cursor {
  readonly #text: string;
  readonly #messages: readonly MessageLiteral[];
  #at = 0;
  #nextMessage = 0;

  /** @param messages literals that are on disk, in order; only their `{n}CRLF` is in the text */
  constructor(text: string, messages: readonly MessageLiteral[] = []) {
    this.#text = text;
    this.#messages = messages;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  /** The next character, '' at the end. */
  get next(): string {
    return this.#text[this.#at] ?? '';
  }

  end(): void {
    if (!this.isAtEnd) throw bad('nothing more was expected here');
  }

  space(): void {
    if (!this.skip(' ')) throw bad('a space was expected');
  }

  /** True, and past it, when the text goes on with it; letters in any case. */
  skip(text: string): boolean {
    const found = this.#text.slice(this.#at, this.#at + text.length);
    if (found !== text && found.toUpperCase() !== text.toUpperCase()) return false;
    this.#at += text.length;
    return true;
  }

  expect(text: string): void {
    if (!this.skip(text)) throw bad(`"${text}" was expected`);
  }

  tag(): string {
    return this.#match(tagChars, 'a tag was expected');
  }

  atom(): string {
    return this.#match(atomChars, 'an atom was expected');
  }

  /** An atom in upper case: a name of the protocol. */
  word(): string {
    return this.atom().toUpperCase();
  }

  /** Octets. */
  astring(): string {
    return this.#isString() ? this.string() : this.#match(astringChars, 'a string was expected');
  }

  /** Octets, quoted or literal. */
  string(): string {
    if (this.next === '"') {
      const written = this.#match(quoted, 'the quoted string does not end').slice(1, -1);
      return written.includes('\\') ? written.replace(/\\(["\\])/g, '$1') : written;
    }
    const octets = this.#literalLength();
    if (this.#at + octets > this.#text.length) throw bad('this literal does not belong here');
    const text = this.#text.slice(this.#at, this.#at + octets);
    this.#at += octets;
    return text;
  }

  /** Undefined for NIL. */
  nstring(): string | undefined {
    if (this.#isString()) return this.string();
    if (this.atom().toUpperCase() === 'NIL') return undefined;
    throw bad('a string or NIL was expected');
  }

  /** Text in UTF-8. */
  text(): string {
    return utf8(this.astring());
  }

  /** A mailbox name as written; INBOX in any case is INBOX. */
  mailbox(): string {
    const name = this.astring();
    return name.toUpperCase() === 'INBOX' ? 'INBOX' : name;
  }

  /** A mailbox name with wildcards. */
  listMailbox(): string {
    return this.#isString() ? this.string() : this.#match(listMailboxChars, 'a mailbox pattern was expected');
  }

  /** The literal that is on disk. */
  message(): MessageLiteral {
    this.#literalLength();
    const message = this.#messages[this.#nextMessage];
    if (message === undefined) throw bad('a literal was expected');
    this.#nextMessage += 1;
    return message;
  }

  /** An integer below 2^32. */
  number(): number {
    const value = Number(this.#match(digits, 'a number was expected'));
    if (value > 0xffffffff) throw bad('the number is too large');
    return value;
  }

  nonZeroNumber(): number {
    const value = this.number();
    if (value === 0) throw bad('the number must not be 0');
    return value;
  }

  /** RFC 7162 has 63 bits; more than a double holds exactly is no modseq of ours and above all of them. */
  modseq(): number {
    const written = this.#match(digits, 'a number was expected');
    if (written.length > 19 || BigInt(written) >= 2n ** 63n) throw bad('the number is too large');
    return Math.min(Number(written), Number.MAX_SAFE_INTEGER);
  }

  /** A sequence-set as written. */
  set(): string {
    return this.#match(/[0-9:*,$]+/y, 'a set of numbers was expected');
  }

  /** `(item item)`, empty only where it may be. */
  list<Item>(item: () => Item, options: { readonly empty?: boolean } = {}): Item[] {
    this.expect('(');
    const items: Item[] = [];
    if (options.empty && this.skip(')')) return items;
    do {
      if (items.length >= imapLimits.listItemsMax) throw bad('the list is too long', 'LIMIT');
      items.push(item());
    } while (this.skip(' '));
    this.expect(')');
    return items;
  }

  /** A flag, `\Seen` or a keyword, as written. */
  flag(): string {
    return this.skip('\\') ? `\\${this.atom()}` : this.#match(atomChars, 'a flag was expected');
  }

  /** Up to the next character that is not in the pattern; '' when it matches nothing. */
  take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? '';
    this.#at += found.length;
    return found;
  }

  #isString(): boolean {
    const { next } = this;
    return next === '"' || next === '{' || (next === '~' && this.#text[this.#at + 1] === '{');
  }

  #literalLength(): number {
    return Number(/[0-9]+/.exec(this.#match(literalMark, 'a literal was expected'))![0]);
  }

  #match(pattern: RegExp, otherwise: string): string {
    const found = this.take(pattern);
    if (found === '') throw bad(otherwise);
    return found;
  }
}

const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Text of octets. @throws Refusal for what is not UTF-8 */
export function utf8(octets: string): string {
  if (!/[\x80-\xff]/.test(octets)) return octets;
  try {
    return utf8Decoder.decode(Buffer.from(octets, 'latin1'));
  } catch {
    throw bad('the text is not UTF-8', 'CLIENTBUG');
  }
}
