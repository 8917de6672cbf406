/** Tokens of a Sieve script. RFC 5228 sections 2.2 to 2.6 and 8.1. */
import type { Offset, Problems } from './problems.ts';

export type TokenType = 'identifier' | 'tag' | 'string' | 'number' | 'garbage' | 'end' | Mark;
export type Mark = '{' | '}' | '(' | ')' | '[' | ']' | ',' | ';' | '/';

export interface Token {
  readonly type: TokenType;
  readonly at: Offset;
  /** Identifiers and tags in lower case, tags without colon; strings with escapes and dot-stuffing undone. */
  readonly text: string;
  /** Numbers only. */
  readonly number: number;
}

const identifier = /[A-Za-z_][A-Za-z0-9_]*/y;
const number = /([0-9]+)([KMGkmg]?)/y;
const blank = /[ \t\r\n]+/y;
const multiline = /text:[ \t]*(?:#[^\n]*)?\r?\n/iy;
/** Characters of an identifier; the longest that exists has a third of it. */
const identifierCharsMax = 32;
const units: Readonly<Record<string, bigint>> = { k: 1n << 10n, m: 1n << 20n, g: 1n << 30n };
/** Pigeonhole's, and more than any message has octets. RFC 5228 section 2.4.1 asks for 31 bits at least. */
const numberMax = (1n << 64n) - 1n;

/** All tokens of a source, `end` the last; what is wrong goes to `problems`, and reading goes on behind it. */
export function tokenise(source: string, problems: Problems): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (true) {
    at = skipBlank(source, at, problems);
    if (at >= source.length) break;
    const { token, end } = readToken(source, at, problems);
    tokens.push(token);
    at = end;
  }
  tokens.push({ type: 'end', at: source.length, text: '', number: 0 });
  return tokens;
}

/** White space and comments. RFC 5228 section 2.3. */
function skipBlank(source: string, start: Offset, problems: Problems): Offset {
  let at = start;
  while (at < source.length) {
    const end = matchEnd(blank, source, at);
    if (end > at) {
      at = end;
    } else if (source[at] === '#') {
      const lineEnd = source.indexOf('\n', at);
      at = lineEnd < 0 ? source.length : lineEnd + 1;
    } else if (source.startsWith('/*', at)) {
      const close = source.indexOf('*/', at + 2);
      if (close < 0) problems.error(at, "end of file before the end of the comment: '*/' was expected", '*/');
      at = close < 0 ? source.length : close + 2;
    } else {
      break;
    }
  }
  return at;
}

interface Read {
  readonly token: Token;
  readonly end: Offset;
}

function readToken(source: string, at: Offset, problems: Problems): Read {
  const character = source[at]!;
  if (character === '"') return readQuoted(source, at, problems);
  if (isMark(character)) return read(character, at, character, at + 1);
  if (character >= '0' && character <= '9') return readNumber(source, at, problems);
  if (matchEnd(multiline, source, at) > at) return readMultiline(source, at, problems);
  const isTag = character === ':';
  const end = matchEnd(identifier, source, isTag ? at + 1 : at);
  if (end > at + (isTag ? 1 : 0)) return readName(source, at, end, isTag, problems);
  return readGarbage(source, at, problems);
}

function readName(source: string, at: Offset, end: Offset, isTag: boolean, problems: Problems): Read {
  const name = source.slice(isTag ? at + 1 : at, end);
  if (name.length > identifierCharsMax) {
    const kind = isTag ? 'tag identifier' : 'identifier';
    problems.error(at, `encountered impossibly long ${kind} '${isTag ? ':' : ''}${name.slice(0, 30)}...'`);
  }
  return read(isTag ? 'tag' : 'identifier', at, name.toLowerCase(), end);
}

function readGarbage(source: string, start: Offset, problems: Problems): Read {
  let at = start + 1;
  // One error for a run of characters that begin nothing.
  while (at < source.length && !/[\s"#{}()[\],;:A-Za-z0-9_]/.test(source[at]!)) at++;
  problems.error(start, `unexpected character(s) starting with '${printable(source[start]!)}'`);
  return read('garbage', start, source.slice(start, at), at);
}

function printable(character: string): string {
  const code = character.charCodeAt(0);
  return code > 32 && code < 127 ? character : `\\x${code.toString(16).padStart(2, '0')}`;
}

/** RFC 5228 section 2.4.2: a backslash before any character stands for that character. */
function readQuoted(source: string, start: Offset, problems: Problems): Read {
  let text = '';
  let at = start + 1;
  let from = at;
  while (at < source.length && source[at] !== '"') {
    if (source[at] === '\\' && at + 1 < source.length) {
      text += source.slice(from, at);
      from = at + 1;
      at += 1;
    } else if (source[at] === '\r' && source[at + 1] !== '\n') {
      problems.error(at, 'a string holds a carriage return without a line feed');
    } else if (source[at] === '\0') {
      problems.error(at, 'a string holds a NUL');
    }
    at += 1;
  }
  text += source.slice(from, at);
  if (at >= source.length)
    problems.error(start, "end of file before the end of the string: '\"' was expected", '"');
  return read('string', start, withCrlf(text), Math.min(at + 1, source.length));
}

/** RFC 5228 section 2.4.2, multi-line: dots at the begin of a line are doubled, a dot alone ends it. */
function readMultiline(source: string, start: Offset, problems: Problems): Read {
  let at = matchEnd(multiline, source, start);
  const lines: string[] = [];
  while (at < source.length) {
    const lineEnd = source.indexOf('\n', at);
    const end = lineEnd < 0 ? source.length : lineEnd;
    const line = source.slice(at, end).replace(/\r$/, '');
    at = lineEnd < 0 ? source.length : lineEnd + 1;
    if (line === '.') return read('string', start, lines.map((each) => `${each}\r\n`).join(''), at);
    // A dot that is not doubled is let pass as it is.
    lines.push(line.startsWith('..') ? line.slice(1) : line);
  }
  problems.error(start, "end of file before the end of the text: a line with '.' alone was expected", '.');
  return read('string', start, lines.join('\r\n'), at);
}

/** RFC 5228 section 2.4.2: line ends in strings are CRLF, however the script is stored. */
function withCrlf(text: string): string {
  return text.includes('\n') ? text.replace(/\r?\n/g, '\r\n') : text;
}

function readNumber(source: string, at: Offset, problems: Problems): Read {
  number.lastIndex = at;
  const [all, digits, unit] = number.exec(source) as unknown as [string, string, string];
  // Digits past the limit are not worth a number of that size.
  const value = digits.length > 20 ? numberMax + 1n : BigInt(digits) * (units[unit.toLowerCase()] ?? 1n);
  if (value > numberMax) problems.error(at, `number exceeds integer limits (max ${numberMax})`);
  return { token: { type: 'number', at, text: all, number: Number(value) }, end: at + all.length };
}

function read(type: TokenType, at: Offset, text: string, end: Offset): Read {
  return { token: { type, at, text, number: 0 }, end };
}

function isMark(character: string): character is Mark {
  return '{}()[],;/'.includes(character);
}

function matchEnd(pattern: RegExp, source: string, at: Offset): Offset {
  pattern.lastIndex = at;
  return pattern.test(source) ? pattern.lastIndex : at;
}

/** A token as error messages name it. */
export function describeToken(token: Token): string {
  switch (token.type) {
    case 'identifier':
      return `identifier '${token.text.slice(0, 30)}'`;
    case 'tag':
      return `tag ':${token.text.slice(0, 30)}'`;
    case 'string':
      return 'a string';
    case 'number':
      return 'a number';
    case 'garbage':
      return 'unknown characters';
    case 'end':
      return 'end of file';
    default:
      return `'${token.type}'`;
  }
}
