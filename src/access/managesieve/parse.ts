/** Commands of ManageSieve, without I/O: lines and literals in, words and strings out. RFC 5804 section 4. */
import { scriptLimits } from '../../../core/base/limits/rules.ts';

/** A word that stands for itself, a number, or a string, quoted or literal. */
export type Argument =
  | { readonly kind: 'atom'; readonly text: string }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'string'; readonly bytes: Buffer };

export type Parsed =
  | { readonly kind: 'command'; readonly name: string; readonly arguments: readonly Argument[] }
  /** A single string, as the client answers a challenge. */
  | { readonly kind: 'string'; readonly bytes: Buffer }
  /** The line goes on after so many octets: read them, then the next line, and `literal` and `line` in turn. */
  | { readonly kind: 'literal'; readonly length: number }
  | { readonly kind: 'syntax'; readonly problem: string };

/** Reads one command, which may span several lines where it holds literals; then it begins with the next one. */
export class CommandParser {
  #arguments: Argument[] = [];
  /** After a literal no word may follow without a space. */
  #afterLiteral = false;

  /** @param line without its line end */
  line(line: Buffer): Parsed {
    const read = readLine(line, this.#arguments, this.#afterLiteral);
    if (typeof read === 'number') return { kind: 'literal', length: read };
    const all = this.#arguments;
    this.#arguments = [];
    this.#afterLiteral = false;
    if (typeof read === 'string') return { kind: 'syntax', problem: read };
    const [first, ...rest] = all;
    if (first === undefined) return { kind: 'syntax', problem: 'an empty line is no command' };
    if (first.kind === 'string' && rest.length === 0) return first;
    if (first.kind !== 'atom') return { kind: 'syntax', problem: 'a command begins with its name' };
    return { kind: 'command', name: first.text.toUpperCase(), arguments: rest };
  }

  literal(bytes: Buffer): void {
    this.#arguments.push({ kind: 'string', bytes });
    this.#afterLiteral = true;
  }
}

/** Adds to `found`; answers the length of a literal that follows, a problem in words, or undefined at the end. */
function readLine(line: Buffer, found: Argument[], afterLiteral: boolean): number | string | undefined {
  const text = line.toString('latin1');
  let at = 0;
  let separated = !afterLiteral;
  while (at < text.length) {
    if (text[at] === ' ') {
      at += 1;
      separated = true;
      continue;
    }
    if (!separated) return 'arguments are parted by a space';
    if (found.length > scriptLimits.argumentsMax) return 'too many arguments';
    const read = readArgument(text, at);
    if (typeof read === 'string') return read;
    if ('length' in read) return read.length;
    found.push(read.argument);
    at = read.end;
    separated = false;
  }
  return undefined;
}

type Read = { readonly argument: Argument; readonly end: number } | { readonly length: number } | string;

function readArgument(text: string, at: number): Read {
  if (text[at] === '"') return readQuoted(text, at + 1);
  if (text[at] === '{') {
    const [, digits] = /^\{([0-9]{1,10})\+\}$/.exec(text.slice(at)) ?? [];
    // RFC 5804 section 1.2: a client's literal never waits, and ends its line.
    return digits === undefined ? 'a literal is {octets+} at the end of a line' : { length: Number(digits) };
  }
  const word = /^[^\x00-\x20\x7f-\xff"{}()\\]+/.exec(text.slice(at))?.[0];
  if (word === undefined) return 'a word, a number or a string was expected';
  const isNumber = /^[0-9]{1,10}$/.test(word);
  const argument: Argument = isNumber
    ? { kind: 'number', value: Number(word) }
    : { kind: 'atom', text: word };
  return { argument, end: at + word.length };
}

/** Only the quote and the backslash are escaped. RFC 5804 section 4. */
function readQuoted(text: string, from: number): Read {
  let value = '';
  for (let at = from; at < text.length; at += 1) {
    const character = text[at]!;
    if (character === '"') {
      return { argument: { kind: 'string', bytes: Buffer.from(value, 'latin1') }, end: at + 1 };
    }
    if (character === '\\') {
      at += 1;
      if (text[at] !== '"' && text[at] !== '\\') return 'a backslash stands before " or \\ only';
    } else if (character === '\0' || character === '\r') return 'a quoted string holds no NUL and no CR';
    value += text[at];
  }
  return 'a quoted string has no end';
}
