/** Reads JSON (RFC 8259) with comments and trailing commas, and remembers where every value stands, so that errors can name line and column. */
import { configBytesMax, configDepthMax } from '../base/limits/process.ts';

/** Offsets into the text. `key` is where the member's name begins; absent for array elements and the root. */
export interface Place {
  readonly key?: number;
  readonly value: number;
}

export interface SyntaxProblem {
  readonly offset: number;
  readonly pointer: string;
  readonly found: string;
  readonly expected: string;
}

export interface JsoncDocument {
  readonly value: unknown;
  /** By JSON pointer (RFC 6901); the root is `''`. */
  readonly places: ReadonlyMap<string, Place>;
  readonly problems: readonly SyntaxProblem[];
}

/** Thrown where reading cannot go on; what was read before is kept in the document. */
class Stop extends Error {}

/** Never throws: what is wrong stands in `problems`, and `value` holds what could be read before it. */
export function parseJsonc(text: string): JsoncDocument {
  const reader = new Reader(text);
  return { value: reader.document(), places: reader.places, problems: reader.problems };
}

/** One step of a JSON pointer. RFC 6901 section 3. */
export function pointerStep(key: string | number): string {
  return `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** Line and column of an offset, both from 1; a column counts UTF-16 units. */
export function lineAndColumn(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset);
  const lastBreak = before.lastIndexOf('\n');
  let line = 1;
  for (let at = before.indexOf('\n'); at !== -1; at = before.indexOf('\n', at + 1)) line += 1;
  return { line, column: offset - lastBreak };
}

const numberPattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const wordPattern = /[A-Za-z_][A-Za-z0-9_]*/y;
const simpleEscapes: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

class Reader {
  readonly places = new Map<string, Place>();
  readonly problems: SyntaxProblem[] = [];
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    // A byte order mark is not JSON, but editors write it. RFC 8259 section 8.1 allows ignoring it.
    if (text.charCodeAt(0) === 0xfeff) this.#at = 1;
  }

  document(): unknown {
    let value: unknown;
    try {
      if (this.#text.length > configBytesMax) {
        this.#stop('', `${this.#text.length} characters`, `at most ${configBytesMax} characters`);
      }
      this.#skip('');
      value = this.#value('', 0, undefined);
      this.#skip('');
      if (this.#at < this.#text.length) this.#report('', this.#glimpse(), 'the end of the file');
    } catch (error) {
      if (!(error instanceof Stop)) throw error;
    }
    return value;
  }

  #value(pointer: string, depth: number, key: number | undefined): unknown {
    if (depth > configDepthMax) this.#stop(pointer, 'deeper nesting', `at most ${configDepthMax} levels`);
    this.places.set(pointer, { key, value: this.#at });
    const character = this.#text[this.#at];
    if (character === '{') return this.#object(pointer, depth);
    if (character === '[') return this.#array(pointer, depth);
    if (character === '"') return this.#string(pointer);
    return this.#scalar(pointer);
  }

  #object(pointer: string, depth: number): Record<string, unknown> {
    const members: Record<string, unknown> = {};
    this.#at += 1;
    for (;;) {
      this.#skip(pointer);
      if (this.#take('}')) return members;
      const keyAt = this.#at;
      if (this.#text[keyAt] !== '"') this.#stop(pointer, this.#glimpse(), 'a key in double quotes, or }');
      const key = this.#string(pointer);
      const child = pointer + pointerStep(key);
      if (key === '__proto__') this.#stop(pointer, '"__proto__"', 'another key');
      if (this.places.has(child)) this.#report(child, `"${key}" again`, 'each key once', keyAt);
      this.#skip(pointer);
      if (!this.#take(':')) this.#stop(child, this.#glimpse(), `: after "${key}"`);
      this.#skip(child);
      members[key] = this.#value(child, depth + 1, keyAt);
      this.#separator(pointer, '}');
    }
  }

  #array(pointer: string, depth: number): unknown[] {
    const items: unknown[] = [];
    this.#at += 1;
    for (;;) {
      this.#skip(pointer);
      if (this.#take(']')) return items;
      items.push(this.#value(pointer + pointerStep(items.length), depth + 1, undefined));
      this.#separator(pointer, ']');
    }
  }

  /** A comma, or nothing before the closing bracket. A forgotten comma is reported and reading goes on. */
  #separator(pointer: string, close: string): void {
    const afterValue = this.#at;
    this.#skip(pointer);
    if (this.#take(',') || this.#text[this.#at] === close) return;
    const next = this.#text[this.#at];
    const beginsValue = next !== undefined && /["[{\-0-9tfn]/.test(next);
    if (!beginsValue) this.#stop(pointer, this.#glimpse(), `, or ${close}`);
    this.#report(pointer, this.#glimpse(), `, or ${close}`, afterValue);
  }

  #string(pointer: string): string {
    const start = this.#at;
    let value = '';
    let plain = start + 1;
    for (let at = plain; ; at += 1) {
      const character = this.#text[at];
      if (character === undefined || character < ' ') {
        this.#at = at;
        this.#stop(pointer, this.#glimpse(), 'the closing " of a string (write \\n for a line end)', start);
      }
      if (character === '"') {
        this.#at = at + 1;
        return value + this.#text.slice(plain, at);
      }
      if (character === '\\') {
        value += this.#text.slice(plain, at);
        this.#at = at;
        value += this.#escape(pointer);
        plain = this.#at;
        at = plain - 1;
      }
    }
  }

  #escape(pointer: string): string {
    const letter = this.#text[this.#at + 1] ?? '';
    const simple = Object.hasOwn(simpleEscapes, letter) ? simpleEscapes[letter] : undefined;
    if (simple !== undefined) {
      this.#at += 2;
      return simple;
    }
    const hex = this.#text.slice(this.#at + 2, this.#at + 6);
    if (letter !== 'u' || !/^[0-9a-fA-F]{4}$/.test(hex)) {
      this.#stop(pointer, `\\${letter}`, 'one of \\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX');
    }
    this.#at += 6;
    return String.fromCharCode(Number.parseInt(hex, 16));
  }

  #scalar(pointer: string): unknown {
    numberPattern.lastIndex = this.#at;
    const number = numberPattern.exec(this.#text)?.[0];
    if (number !== undefined) {
      this.#at += number.length;
      return Number(number);
    }
    wordPattern.lastIndex = this.#at;
    const word = wordPattern.exec(this.#text)?.[0];
    if (word === 'true' || word === 'false' || word === 'null') {
      this.#at += word.length;
      return word === 'null' ? null : word === 'true';
    }
    return this.#stop(pointer, this.#glimpse(), 'a value: a string, number, true, false, null, { or [');
  }

  /** White space and comments of either kind. */
  #skip(pointer: string): void {
    for (;;) {
      while (' \t\r\n'.includes(this.#text[this.#at] ?? '?')) this.#at += 1;
      if (this.#text.startsWith('//', this.#at)) {
        const end = this.#text.indexOf('\n', this.#at);
        this.#at = end === -1 ? this.#text.length : end;
      } else if (this.#text.startsWith('/*', this.#at)) {
        const end = this.#text.indexOf('*/', this.#at + 2);
        if (end === -1) this.#stop(pointer, 'a comment without end', '*/');
        this.#at = end + 2;
      } else {
        return;
      }
    }
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  /** What stands at the reading position, short enough for a message. */
  #glimpse(): string {
    if (this.#at >= this.#text.length) return 'the end of the file';
    const rest = this.#text.slice(this.#at, this.#at + 40).split(/[\r\n]/, 1)[0] ?? '';
    if (rest === '') return 'the end of the line';
    return /^"[^"]*"?|^[A-Za-z0-9_.+-]+|^./u.exec(rest)?.[0] ?? rest;
  }

  #report(pointer: string, found: string, expected: string, offset = this.#at): void {
    this.problems.push({ offset, pointer, found, expected });
  }

  #stop(pointer: string, found: string, expected: string, offset = this.#at): never {
    this.#report(pointer, found, expected, offset);
    throw new Stop();
  }
}
