/** formail's own command line: formail(1). */
import type { Trust } from './address.ts';
import { type Field, nameLengthOf, newField } from './field.ts';

export interface FormailOptions {
  /** Undefined: one mail, to standard output. */
  readonly split: SplitOptions | undefined;
  readonly reply: boolean;
  readonly trust: Trust;
  readonly keepBody: boolean;
  /** Pass along what is no mbox. */
  readonly force: boolean;
  /** Lines that begin like a From_ line are quoted. */
  readonly quotes: boolean;
  readonly prefix: string;
  readonly concatenate: boolean;
  readonly zap: boolean;
  readonly ignoreContentLength: boolean;
  readonly quiet: boolean;
  /** Name of the folder in a log summary, which is then all that is printed. */
  readonly logFolder: string | undefined;
  readonly cache: { readonly path: string; readonly sizeBytes: number } | undefined;
  readonly edits: FieldEdits;
}

export interface SplitOptions {
  /** Empty: to standard output. */
  readonly program: readonly string[];
  readonly skip: number;
  /** Undefined: all. */
  readonly total: number | undefined;
  /** Headers may begin on any line. */
  readonly every: boolean;
  readonly digest: boolean;
  readonly babyl: boolean;
  /** Fields in a row that make a header. */
  readonly fieldsMin: number;
  /** Programs beside one another, 0 for as many as there is room for; undefined: one after the other. */
  readonly parallel: number | undefined;
}

/** What is to be done with which fields, each list in order of the command line. */
export interface FieldEdits {
  readonly addUnlessThere: readonly Field[];
  readonly add: readonly Field[];
  readonly renameAndAdd: readonly Field[];
  readonly deleteAndAdd: readonly Field[];
  readonly extract: readonly Field[];
  readonly extractWhole: readonly Field[];
  readonly firstOnly: readonly Field[];
  readonly lastOnly: readonly Field[];
  readonly rename: readonly { readonly from: Field; readonly to: string }[];
}

/** What the line asks for instead: the version, help; or what is wrong with it. */
export type Refusal = { readonly kind: 'version' | 'help' | 'usage'; readonly message: string };

export type FormailArguments = { readonly options: FormailOptions } | { readonly refusal: Refusal };

/** As long as procmail lets the name of a folder be. */
const folderNameMax = 61;

const lists: Readonly<Record<string, Exclude<keyof FieldEdits, 'rename'>>> = {
  a: 'addUnlessThere',
  A: 'add',
  i: 'renameAndAdd',
  I: 'deleteAndAdd',
  x: 'extract',
  X: 'extractWhole',
  u: 'firstOnly',
  U: 'lastOnly',
};

export function readFormailArguments(argv: readonly string[]): FormailArguments {
  const reader = new ArgumentReader(argv);
  try {
    return { options: reader.read() };
  } catch (error) {
    if (error instanceof Refused) return { refusal: error.refusal };
    throw error;
  }
}

class Refused extends Error {
  readonly refusal: Refusal;

  constructor(kind: Refusal['kind'], message = '') {
    super(message);
    this.refusal = { kind, message };
  }
}

class ArgumentReader {
  readonly #argv: readonly string[];
  #next = 0;
  /** What is left of the word that is being read. */
  #rest = '';
  #letters = new Set<string>();
  #program: readonly string[] | undefined;
  #skip = 0;
  #total: number | undefined;
  #fieldsMin = 0;
  #parallel: number | undefined;
  #prefix = '>';
  #quiet = true;
  #resent = false;
  #logFolder: string | undefined;
  #cache: FormailOptions['cache'];
  readonly #fields: Record<Exclude<keyof FieldEdits, 'rename'>, Field[]> = {
    ...{ addUnlessThere: [], add: [], renameAndAdd: [], deleteAndAdd: [] },
    ...{ extract: [], extractWhole: [], firstOnly: [], lastOnly: [] },
  };
  readonly #renames: { from: Field; to: string }[] = [];

  constructor(argv: readonly string[]) {
    this.#argv = argv;
  }

  /** @throws Refused */
  read(): FormailOptions {
    while (this.#next < this.#argv.length && this.#program === undefined) {
      this.#rest = this.#argv[this.#next]!;
      this.#next += 1;
      const sign = this.#take();
      if (sign === '+') this.#skip = this.#number();
      else if (sign !== '-') throw new Refused('usage');
      while (this.#rest !== '' && this.#program === undefined) this.#option();
    }
    return this.#options();
  }

  #take(): string {
    const character = this.#rest.slice(0, 1);
    this.#rest = this.#rest.slice(1);
    return character;
  }

  /** The rest of the word, or the next one. */
  #value(): string {
    const value = this.#rest === '' ? this.#argv[this.#next++] : this.#rest;
    this.#rest = '';
    if (value === undefined) throw new Refused('usage');
    return value;
  }

  /** Digits; what stands behind them is read on. */
  #number(): number {
    const digits = /^\d+/.exec(this.#rest)?.[0];
    if (digits === undefined) throw new Refused('usage');
    this.#rest = this.#rest.slice(digits.length);
    return Number.parseInt(digits, 10);
  }

  #option(): void {
    const letter = this.#take();
    if (lists[letter] !== undefined) this.#field(letter);
    else if (letter === 'R') this.#rename();
    else if ('trfeBdkczbY'.includes(letter)) this.#letters.add(letter);
    else this.#special(letter);
  }

  #special(letter: string): void {
    switch (letter) {
      case 'q':
        this.#quiet = !this.#rest.startsWith('-');
        if (!this.#quiet) this.#take();
        return;
      case 'n': {
        const value = this.#value();
        const digits = /^\d*/.exec(value)![0];
        this.#parallel = Number(digits);
        this.#rest = value.slice(digits.length);
        return;
      }
      case 'm':
        this.#rest = this.#value();
        this.#fieldsMin = this.#number();
        return;
      case 'D': {
        this.#rest = this.#value();
        const sizeBytes = this.#number();
        this.#cache = { sizeBytes, path: this.#value() };
        return;
      }
      case 'l':
        this.#logFolder = this.#value()
          .slice(0, folderNameMax)
          .replace(/[\t\n\v\f\r]/g, ' ');
        return;
      case 'p':
        this.#prefix = this.#value();
        return;
      case 's':
        if (this.#rest !== '') throw new Refused('usage');
        this.#program = this.#argv.slice(this.#next);
        return;
      case 'v':
        throw new Refused('version');
      case 'h':
      case '?':
        throw new Refused('help');
      default:
        this.#rest = letter + this.#rest;
        this.#total = this.#number();
    }
  }

  #field(letter: string): void {
    const text = this.#value();
    const length = nameLengthOf(text);
    const isPart = -length === text.length;
    // The one part of a name that -a takes stands for no field: it is about whom to believe.
    if (letter === 'a' && isPart && text.toLowerCase() === 'resent-') {
      this.#resent = true;
      return;
    }
    const mayBePart = letter !== 'a' && letter !== 'A';
    if (length <= 0 && !(mayBePart && isPart)) throw invalid(text);
    this.#fields[lists[letter]!].push(newField(`${text}\n`));
  }

  /** `old: new:` in one word, or in two; either both are whole names, or the old one is a part. */
  #rename(): void {
    const text = this.#value();
    const length = nameLengthOf(text);
    const from = newField(`${text}\n`);
    const attached = text.slice(from.nameLength).replace(/^[ \t\n]+/, '');
    const to = attached === '' ? this.#argv[this.#next++] : attached;
    if (to === undefined) throw invalid('');
    const newLength = nameLengthOf(to);
    const isName = newLength > 0 || (length <= 0 && (newLength < 0 || to === ''));
    if (!isName) throw invalid(to);
    this.#renames.push({ from, to: to.slice(0, Math.abs(newLength)) });
  }

  #options(): FormailOptions {
    const has = (letter: string) => this.#letters.has(letter);
    const reply = has('r');
    const extracts = this.#fields.extract.length + this.#fields.extractWhole.length > 0;
    const digest = has('d') || has('B');
    const splitsOnly =
      this.#skip > 0 || this.#total !== undefined || has('e') || digest || this.#fieldsMin > 0;
    if (this.#program === undefined && (splitsOnly || this.#parallel !== undefined))
      throw new Refused('usage');
    if (extracts && this.#logFolder !== undefined) throw new Refused('usage');
    if (has('k') && !reply && !extracts) throw new Refused('usage');
    if (this.#resent && !has('t')) throw invalid('Resent-');
    const contentLength = { text: 'Content-Length:', nameLength: 15 };
    const copiesLength = this.#fields.extractWhole.some(({ text, nameLength }) =>
      contentLength.text.toLowerCase().startsWith(text.slice(0, nameLength).toLowerCase()),
    );
    return {
      split: this.#program && {
        program: this.#program,
        skip: this.#skip,
        total: this.#total,
        every: has('e') || has('B'),
        digest,
        babyl: has('B'),
        fieldsMin: this.#fieldsMin === 0 ? 2 : this.#fieldsMin,
        parallel: this.#parallel,
      },
      reply,
      trust: reply && has('t') ? (this.#resent ? 'resent' : 'header') : 'envelope',
      keepBody: has('k'),
      force: has('f'),
      quotes: !has('b'),
      prefix: this.#prefix,
      concatenate: has('c'),
      zap: has('z'),
      ignoreContentLength:
        digest ||
        has('Y') ||
        (has('k') && (reply || (this.#fields.extractWhole.length > 0 && !copiesLength))),
      quiet: this.#quiet,
      logFolder: this.#logFolder,
      cache: this.#cache,
      edits: { ...this.#fields, rename: this.#renames },
    };
  }
}

function invalid(name: string): Refused {
  return new Refused('usage', `Invalid field-name: "${name}"`);
}
