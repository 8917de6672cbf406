/**
 * maildrop's patterns, which are PCRE's (pcrepattern(3)), in the dialect of this house's patterns, none of which runs
 * away. Backreferences, atomic groups, possessive repeats, recursion and settings within a pattern are not there.
 */
import { compilePattern, PatternError, type SafePattern } from '../../core/mail/safe-pattern.ts';

/** What stands behind the second slash. maildropfilter(7), "Pattern options". */
export interface PatternOptions {
  readonly header: boolean;
  /** Headers of the parts as well. */
  readonly partHeaders: boolean;
  readonly body: boolean;
  readonly caseSensitive: boolean;
  /** The first match's, and what each further one's is multiplied by; undefined: the first match decides. */
  readonly weights: readonly [first: number, factor: number] | undefined;
}

/** @param text `/pattern/:options` as written */
export function splitPattern(text: string): { readonly pattern: string; readonly options: PatternOptions } {
  const [, pattern = '', letters = ''] = /^\/((?:\\[\s\S]|[^\\/])*)(?:\/(?::(.*))?)?$/.exec(text) ?? [];
  return { pattern, options: readOptions(letters) };
}

function readOptions(text: string): PatternOptions {
  const has = (letter: string) => text.includes(letter);
  const none = !has('h') && !has('H') && !has('b');
  const [, first, factor] = /([-+.\d][^,]*)(?:,([-+.\d].*))?/.exec(text) ?? [];
  const number = (digits: string) => Number.parseFloat(digits) || 0;
  return {
    header: has('h') || has('H') || none,
    partHeaders: has('h') || none,
    body: has('b') || (none && has('w')),
    caseSensitive: has('D'),
    weights: first === undefined ? undefined : [number(first), factor === undefined ? 1 : number(factor)],
  };
}

export { PatternError };

/** @param pattern octets of UTF-8, one a character  @throws PatternError */
export function compileFilterPattern(pattern: string, caseSensitive: boolean): SafePattern {
  const source = Buffer.from(pattern, 'latin1').toString('utf8');
  return compilePattern(translated(source), caseSensitive ? '' : 'i');
}

/** Names of POSIX in brackets, for ASCII as PCRE has them. */
const classes: Readonly<Record<string, string>> = {
  alpha: 'a-zA-Z',
  lower: 'a-z',
  upper: 'A-Z',
  digit: '0-9',
  alnum: 'a-zA-Z0-9',
  word: '\\w',
  xdigit: '0-9a-fA-F',
  space: ' \\t\\n\\v\\f\\r',
  blank: ' \\t',
  punct: '!-/:-@\\[-`{-~',
  cntrl: '\\x00-\\x1f\\x7f',
  print: ' -~',
  graph: '!-~',
  ascii: '\\x00-\\x7f',
};

/** Escapes that the two dialects share. */
const shared = /^[dDwWbBnrtfv0]$/;
const asciiSpace = ' \\t\\n\\v\\f\\r';
const special = /^[\\^$.*+?()[\]{}|/]$/;

function translated(source: string): string {
  let text = '';
  let inClass = false;
  for (let at = 0; at < source.length; ) {
    const rest = source.slice(at, at + 80);
    const posix = inClass ? /^\[:(\^?)([a-z]+):\]/.exec(rest) : null;
    if (posix !== null && classes[posix[2]!] !== undefined) {
      if (posix[1] === '^') throw new PatternError(source, `no ${posix[0]} within brackets`);
      text += classes[posix[2]!]!;
      at += posix[0].length;
    } else if (source[at] === '\\') {
      const written = /^\\(?:x\{[0-9a-f]+\}|x[0-9a-f]{0,2}|Q[\s\S]*?(?:\\E|$)|[\s\S]|$)/iu.exec(
        source.slice(at),
      )![0];
      text += translatedEscape(source, written, inClass);
      at += written.length;
    } else if (!inClass && source[at] === '[') {
      // A bracket that comes first stands for itself.
      const [open] = /^\[\^?\]?/.exec(rest)!;
      text += open.replace(']', '\\]');
      at += open.length;
      inClass = true;
    } else {
      if (!inClass && /^\(\?[>|#&PR\d+-]|^\(\?[a-zA-Z]|^[*+?}]\+/.test(rest)) {
        throw new PatternError(source, `"${rest.slice(0, 3)}" is not supported`);
      }
      if (inClass && source[at] === ']') inClass = false;
      text += plain(source[at]!, inClass);
      at += 1;
    }
  }
  return text;
}

/** PCRE's dot leaves out the line feed alone. */
function plain(character: string, inClass: boolean): string {
  if (character === '.' && !inClass) return '[^\\n]';
  return character === '[' && inClass ? '\\[' : character;
}

function translatedEscape(source: string, written: string, inClass: boolean): string {
  const letter = written[1] ?? '';
  if (letter === 'Q') return quoted(written.slice(2).replace(/\\E$/, ''));
  if (letter === 'x') return codePoint(Number.parseInt(written.slice(2).replace('{', ''), 16) || 0);
  if (letter === 's') return inClass ? asciiSpace : `[${asciiSpace}]`;
  if (letter === 'S' && !inClass) return `[^${asciiSpace}]`;
  if (letter === 'h') return inClass ? ' \\t' : '[ \\t]';
  if (letter === 'A' && !inClass) return '^';
  if (/[Zz]/.test(letter) && !inClass) return '$';
  if (letter === 'R' && !inClass) return '(?:\\r\\n|[\\n\\v\\f\\r])';
  if (letter === 'N' && !inClass) return '[^\\n]';
  if (letter === 'e' || letter === 'a') return codePoint(letter === 'e' ? 0x1b : 7);
  if (letter === 'E') return '';
  if (inClass && letter === 'b') return '\\x08';
  if (letter === '-' && inClass) return '\\-';
  if (/[1-9gkGKXpPCuULlcHSVvzZ]/.test(letter))
    throw new PatternError(source, `"${written}" is not supported`);
  return shared.test(letter) ? written : quoted(letter);
}

function codePoint(code: number): string {
  return `\\u{${code.toString(16)}}`;
}

function quoted(text: string): string {
  return [...text].map((character) => (special.test(character) ? `\\${character}` : character)).join('');
}
