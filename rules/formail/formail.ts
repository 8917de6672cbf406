/**
 * Formats mails as formail(1) 3.22 does: one, or each of a mailbox or digest. A generator that asks for octets, says
 * what each mail comes to, and asks whether a key was seen before; it holds a header or a line, never a mailbox.
 */
import { formailLimits } from '../../core/base/limits/rules.ts';
import { folderLine, subjectMax } from '../procmail/abstract.ts';
import type { FormailOptions } from './arguments.ts';
import { printed } from './edit-fields.ts';
import { type Field, fromName, hasName, isFromLine, nameLengthOf } from './field.ts';
import {
  articleName,
  type Heading,
  type NewHeader,
  newHeader,
  readHeading,
  type Surroundings,
  valueIn,
} from './heading.ts';
import { isKnownField } from './known-fields.ts';
import { FormailError, Reader } from './reader.ts';

/** What it asks for; texts have an octet a character. */
export type FormailStep =
  | { readonly type: 'read' }
  /** A mail begins. */
  | { readonly type: 'open' }
  | { readonly type: 'write'; readonly text: string }
  /** A mail ends; a program's exit code is told. */
  | { readonly type: 'close' }
  /** Was this key seen before? From now on it was. */
  | { readonly type: 'known'; readonly key: string }
  /** For standard error. */
  | { readonly type: 'say'; readonly text: string };

export interface FormailOutcome {
  /** Undefined at the end of the input. */
  readonly text?: string;
  readonly known?: boolean;
  /** Of a program; negative where a signal ended it. */
  readonly exitCode?: number;
  /** Not all that was written was taken. */
  readonly failed?: boolean;
}

type Running<Result> = Generator<FormailStep, Result, FormailOutcome>;

const exitNotKnown = 1;
const exitNoUser = 67;
const exitUnavailable = 69;
const exitIoError = 74;
/** What ends a mail of a BABYL file. */
const babylEnd = '\x1f';

/** @returns the exit code  @throws FormailError */
export function formail(options: FormailOptions, outside: Surroundings): Running<number> {
  return new Formail(options, outside).run();
}

class Formail {
  readonly #options: FormailOptions;
  readonly #outside: Surroundings;
  readonly #reader = new Reader();
  /** Fields that were read and not written, and their length. */
  #fields: Field[] = [];
  #held = 0;
  /** The line behind them, which is none; '' where it was written. */
  #line = '';
  #afterEmptyLine = true;
  #skip: number;
  /** Mails that may still be written; undefined: all. */
  #total: number | undefined;
  /** What is written goes somewhere. */
  #isOpen = false;
  /** Octets that a log summary counts. */
  #length = 0;
  #exitCode = 0;
  #failed = false;

  constructor(options: FormailOptions, outside: Surroundings) {
    this.#options = options;
    this.#outside = outside;
    this.#skip = options.split?.skip ?? 0;
    this.#total = options.split?.total;
  }

  *run(): Running<number> {
    const { split } = this.#options;
    if (split?.babyl === true) yield* this.#skipBabylStart();
    while ((yield* this.#reader.peek()) === '\n') yield* this.#reader.line();
    if (split !== undefined && ((yield* this.#reader.peek()) === '' || this.#total === 0)) return 0;
    yield* this.#open();
    let inHeader = (yield* this.#readField()) || this.#takeArticle();
    for (;;) {
      while (inHeader) inHeader = yield* this.#readField();
      const { ended, exitCode } = yield* this.#mail();
      if (exitCode !== undefined) return exitCode;
      yield* this.#close();
      if (ended || this.#total === 0) return this.#lastExitCode();
      yield* this.#open();
      inHeader = true;
    }
  }

  /** One mail, from behind its header: whether it was the last, or the exit code where that is known already. */
  *#mail(): Running<{ readonly ended: boolean; readonly exitCode?: number }> {
    const { split, cache, reply, keepBody, edits } = this.#options;
    const heading = readHeading(this.#fields, this.#options);
    this.#fields = [];
    if (cache !== undefined) {
      const known = yield* this.#isKnown(heading);
      if (split === undefined) return { ended: true, exitCode: known ? 0 : exitNotKnown };
      if (known) yield* this.#close();
    }
    if (reply && heading.sender === undefined) this.#exitCode = exitNoUser;
    const extracts = edits.extract.length + edits.extractWhole.length > 0;
    yield* this.#writeHeader(newHeader(heading, this.#options, this.#outside));
    if (keepBody || !extracts) yield* this.#write('\n');
    if (!keepBody && (reply || extracts)) {
      yield* this.#writeFolderLine();
      if (split === undefined) return { ended: true };
      yield* this.#close();
    }
    const isLast = !(yield* this.#body(heading.contentLength));
    yield* this.#writeFolderLine();
    return { ended: isLast };
  }

  /** The first program that failed tells; then what could not be written. */
  #lastExitCode(): number {
    if (this.#exitCode < 0) return exitUnavailable;
    return this.#exitCode === 0 && this.#failed ? exitIoError : this.#exitCode;
  }

  // Reading

  *#skipBabylStart(): Running<void> {
    while ((yield* this.#reader.peek()) !== '') {
      if ((yield* this.#reader.line()).startsWith(`${babylEnd}\f\n`)) break;
    }
    yield* this.#reader.line();
  }

  /** True where the next lines are a field, which is added to the others; else the line is kept. */
  *#readField(): Running<boolean> {
    const first = yield* this.#reader.line();
    const nameLength = nameLengthOf(first);
    const isPostmark = nameLength === fromName.length && isFromLine(first);
    // Further down it is the next mail's.
    if (nameLength <= 0 || (isPostmark && this.#fields.length > 0)) {
      this.#line = first;
      return false;
    }
    const lines = [first];
    for (;;) {
      const next = yield* this.#reader.peek();
      if (isPostmark ? next !== '>' : next !== ' ' && next !== '\t') break;
      lines.push(yield* this.#reader.line());
    }
    this.#addField({ text: lines.join(''), nameLength });
    return true;
  }

  #addField(field: Field): void {
    this.#held = (this.#fields.length === 0 ? 0 : this.#held) + field.text.length;
    if (this.#held > formailLimits.heldBytesMax) throw new FormailError('a header is too long');
    this.#fields.push(field);
  }

  /** The line that an article of a digest begins with. */
  #takeArticle(): boolean {
    const { split } = this.#options;
    if (split?.digest !== true || this.#fields.length > 0 || !this.#line.startsWith(articleName))
      return false;
    this.#addField({ text: this.#line, nameLength: articleName.length });
    this.#line = '';
    return true;
  }

  // Header

  /** By its Message-ID; an answer by whom it would go to. */
  *#isKnown({ fields, sender }: Heading): Running<boolean> {
    const key = this.#options.reply ? sender : valueIn(fields, 'Message-ID:')?.slice(0, -1);
    if (key === undefined) return false;
    const { known = false } = yield { type: 'known', key: key.replace(/^ +/, '') };
    if (known && !this.#options.quiet) yield { type: 'say', text: `Duplicate key found: ${key}` };
    return known;
  }

  *#writeHeader({ fields, added }: NewHeader): Running<void> {
    const { edits, zap, logFolder } = this.#options;
    this.#length = 0;
    if (logFolder !== undefined) yield* this.#writeAbstract(fields);
    yield* this.#write([...fields, ...added].map((field) => printed(field, edits, zap)).join(''));
  }

  *#writeAbstract(fields: readonly Field[]): Running<void> {
    const [first] = fields;
    if (first !== undefined && isFromLine(first.text)) yield* this.#print(first.text);
    const subject = fields.find((field) => hasName(field, 'Subject:'));
    if (subject === undefined) return;
    const text = subject.text.slice(0, -1).replace(/[\t\n\v\f\r]/g, ' ');
    yield* this.#print(` ${text.slice(0, subjectMax)}\n`);
  }

  // Body

  /** True where another mail begins. */
  *#body(contentLength: number): Running<boolean> {
    const isBabyl = this.#options.split?.babyl === true;
    // A BABYL mail ends at a sign of its own, and only then another may begin.
    let mayEnd = !isBabyl;
    this.#afterEmptyLine = true;
    if (this.#line === '\n') this.#line = '';
    if (isBabyl) yield* this.#skipBabylHeader();
    if (contentLength > 0) yield* this.#copyCounted(contentLength);
    while (this.#line !== '' || !this.#afterEmptyLine || (yield* this.#reader.peek()) !== '') {
      if (this.#line === '') yield* this.#readField();
      if (mayEnd && (yield* this.#isNextMail())) return true;
      this.#afterEmptyLine = this.#line === '\n';
      if (isBabyl && this.#line.startsWith(babylEnd)) {
        mayEnd = true;
        yield* this.#close();
      }
      yield* this.#writeRead();
    }
    return false;
  }

  /** The header that is shown instead of the mail's own; the empty line behind it stays. */
  *#skipBabylHeader(): Running<void> {
    do yield* this.#reader.line();
    while (!['', '\n'].includes(yield* this.#reader.peek()));
  }

  /** As many octets as Content-Length says, whatever stands there. */
  *#copyCounted(contentLength: number): Running<void> {
    let left = contentLength;
    let before = '\n';
    if (this.#line !== '') {
      yield* this.#write(this.#line);
      left -= this.#line.length;
      this.#line = '';
      this.#afterEmptyLine = false;
    }
    while (left > 0) {
      const octets = yield* this.#reader.octets(left);
      if (octets === '') break;
      yield* this.#write(octets);
      left -= octets.length;
      this.#afterEmptyLine = (before + octets).endsWith('\n\n');
      before = octets.slice(-1);
    }
    if (left > 0 && !this.#options.quiet) {
      yield { type: 'say', text: `Content-Length: field exceeds actual length by ${left} bytes` };
    }
    if (before !== '\n' && (yield* this.#reader.peek()) === '\n')
      yield* this.#write(yield* this.#reader.line());
  }

  /** Whether what was read last begins another mail; it stands in #fields then. */
  *#isNextMail(): Running<boolean> {
    const { split, quotes, prefix } = this.#options;
    if (this.#fields.length === 0 && isFromLine(this.#line)) {
      this.#addField({ text: this.#line, nameLength: fromName.length });
      this.#line = '';
    }
    const mayBegin = split !== undefined && (this.#afterEmptyLine || split.every);
    const first = this.#fields[0];
    if (first !== undefined && isFromLine(first.text)) {
      if (!mayBegin || !/^From [ \t]*[^ \t\n]+[ \t]+[^ \t\n]/.test(first.text)) {
        if (quotes) yield* this.#write(prefix);
        return false;
      }
    } else if (
      !mayBegin ||
      !split.digest ||
      !(first === undefined ? this.#takeArticle() : isKnownField(first))
    ) {
      return false;
    }
    for (let count = 1; count < split.fieldsMin; count++) {
      if (!(yield* this.#readField()) || !isKnownField(this.#fields.at(-1)!)) return false;
    }
    if (!this.#afterEmptyLine) yield* this.#write('\n');
    return true;
  }

  /** The line or the fields that were read and begin no mail. An answer quotes them. */
  *#writeRead(): Running<void> {
    const { reply, quotes, prefix } = this.#options;
    const read = this.#fields.map(({ text }) => text).join('');
    if (read !== '') {
      // A line behind the fields has its turn next.
      yield* this.#write(reply && quotes ? read.replace(/(^|\n)(?=[\s\S])/g, (end) => end + prefix) : read);
      this.#fields = [];
      return;
    }
    const quoted = reply && quotes && this.#line.length > 1;
    yield* this.#write(quoted ? prefix + this.#line : this.#line);
    this.#line = '';
  }

  // Writing

  *#open(): Running<void> {
    if (this.#skip > 0) {
      this.#skip -= 1;
      return;
    }
    if (this.#total !== undefined) this.#total -= 1;
    this.#isOpen = true;
    yield { type: 'open' };
  }

  *#close(): Running<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const { exitCode = 0, failed = false } = yield { type: 'close' };
    if (this.#exitCode === 0) this.#exitCode = exitCode;
    if (failed) this.#failed = true;
  }

  /** What a log summary only counts. */
  *#write(text: string): Running<void> {
    if (this.#options.logFolder === undefined) yield* this.#print(text);
    else this.#length += text.length;
  }

  *#print(text: string): Running<void> {
    if (this.#isOpen && text !== '') yield { type: 'write', text };
  }

  *#writeFolderLine(): Running<void> {
    const { logFolder } = this.#options;
    if (logFolder !== undefined) yield* this.#print(folderLine(logFolder, this.#length));
  }
}
