/**
 * POSIX extended regular expressions, as the match type `:regex` has them, brought to the dialect of core/mail's safe
 * patterns: they run in time linear in the text. draft-ietf-sieve-regex; IEEE 1003.1 section 9.4. Of the GNU additions
 * `\w \W \s \S \b \B \< \>` are known; backreferences are not.
 */
import { compileLongest, compilePattern } from '../../core/mail/safe-pattern.ts';

export interface PosixPattern {
  test(text: string): boolean;
  /** The leftmost longest match and its groups. */
  exec(text: string): readonly (string | undefined)[] | undefined;
}

/** A pattern that cannot be used; `message` is a sentence for the script's author. */
export class PosixPatternError extends Error {}

/** @throws PosixPatternError */
export function compilePosix(source: string, ignoreCase: boolean): PosixPattern {
  const translated = new Translator(source).translate();
  const flags = ignoreCase ? 'is' : 's';
  try {
    const pattern = compilePattern(translated, flags);
    let longest: ReturnType<typeof compileLongest> | undefined;
    return {
      test: (text) => pattern.test(text),
      exec(text) {
        if (!pattern.test(text)) return undefined;
        longest ??= compileLongest(translated, flags);
        return longest(text);
      },
    };
  } catch (error) {
    throw new PosixPatternError(error instanceof Error ? error.message : String(error));
  }
}

const classes: Readonly<Record<string, string>> = {
  alpha: '\\p{L}',
  digit: '0-9',
  alnum: '\\p{L}0-9',
  upper: '\\p{Lu}',
  lower: '\\p{Ll}',
  space: '\\t-\\r ',
  blank: '\\t ',
  punct: '!-\\/:-@\\[-`\\{-~',
  print: '\\x20-\\x7e\\u00a0-\\u{10ffff}',
  graph: '\\x21-\\x7e\\u00a1-\\u{10ffff}',
  cntrl: '\\x00-\\x1f\\x7f',
  xdigit: '0-9A-Fa-f',
};
const gnuEscapes: Readonly<Record<string, string>> = {
  w: '\\w',
  W: '\\W',
  s: '\\s',
  S: '\\S',
  b: '\\b',
  B: '\\B',
  '<': '\\b',
  '>': '\\b',
};

class Translator {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  translate(): string {
    let out = '';
    /** Where the last thing begins that a repetition can follow; undefined behind a bracket, a bar and at the start. */
    let atom: number | undefined;
    const groups: number[] = [];
    while (this.#at < this.#source.length) {
      const character = this.#character();
      const start = out.length;
      if (character === '*' || character === '+' || character === '?' || character === '{') {
        const repeat = this.#repeat(character);
        if (repeat !== undefined && atom !== undefined) {
          // Grouped, so that a second repetition is one of the first.
          out = `${out.slice(0, atom)}(?:${out.slice(atom)}${repeat})`;
          continue;
        }
        if (repeat !== undefined) throw new PosixPatternError('a repetition of nothing');
        out += `\\${character}`;
        atom = start;
        continue;
      }
      if (character === '(') {
        groups.push(start);
        out += '(';
        atom = undefined;
      } else if (character === ')' && groups.length > 0) {
        out += ')';
        atom = groups.pop();
      } else if (character === '|' || character === '^' || character === '$') {
        out += character;
        atom = undefined;
      } else {
        out += this.#single(character);
        atom = start;
      }
    }
    if (groups.length > 0) throw new PosixPatternError('an opening parenthesis without a closing one');
    return out;
  }

  #character(): string {
    const character = String.fromCodePoint(this.#source.codePointAt(this.#at)!);
    this.#at += character.length;
    return character;
  }

  #single(character: string): string {
    if (character === '[') return this.#bracket();
    if (character === '\\') return this.#escape();
    if (character === ')') return '\\)';
    return character === '.' ? '.' : quoted(character);
  }

  /** `{n}`, `{n,}`, `{n,m}`; a brace that begins none stands for itself. */
  #repeat(character: string): string | undefined {
    if (character !== '{') return character;
    const counted = /^(\d*)(,?)(\d*)\}/.exec(this.#source.slice(this.#at, this.#at + 20));
    if (!counted || (counted[1] === '' && counted[3] === '')) return undefined;
    this.#at += counted[0].length;
    const [, min, comma, max] = counted as unknown as [string, string, string, string];
    return `{${min === '' ? '0' : min}${comma}${max}}`;
  }

  #escape(): string {
    if (this.#at >= this.#source.length) throw new PosixPatternError('a backslash at the end');
    const character = this.#character();
    if (/[1-9]/.test(character)) throw new PosixPatternError('backreferences are not supported');
    return gnuEscapes[character] ?? quoted(character);
  }

  #bracket(): string {
    const negated = this.#take('^');
    const parts: string[] = [];
    let first = true;
    while (first || this.#source[this.#at] !== ']') {
      if (this.#at >= this.#source.length) throw new PosixPatternError("'[' without ']'");
      first = false;
      parts.push(this.#bracketItem());
    }
    this.#at++;
    return `[${negated ? '^' : ''}${parts.join('')}]`;
  }

  #bracketItem(): string {
    if (this.#source.startsWith('[:', this.#at)) {
      const name = this.#enclosed(':');
      const set = Object.hasOwn(classes, name) ? classes[name] : undefined;
      if (set === undefined) throw new PosixPatternError(`unknown character class [:${name}:]`);
      return set;
    }
    const low = this.#bracketCharacter();
    const isRange = this.#source[this.#at] === '-' && this.#source[this.#at + 1] !== ']';
    if (!isRange || this.#at + 1 >= this.#source.length) return quotedInSet(low);
    this.#at++;
    const high = this.#bracketCharacter();
    if (high.codePointAt(0)! < low.codePointAt(0)!)
      throw new PosixPatternError(`range ${low}-${high} is reversed`);
    return `${quotedInSet(low)}-${quotedInSet(high)}`;
  }

  #bracketCharacter(): string {
    for (const mark of ['.', '=']) {
      if (!this.#source.startsWith(`[${mark}`, this.#at)) continue;
      const inside = this.#enclosed(mark);
      if ([...inside].length !== 1) throw new PosixPatternError(`collating element ${inside} is not known`);
      return inside;
    }
    return this.#character();
  }

  #enclosed(mark: string): string {
    const end = this.#source.indexOf(`${mark}]`, this.#at + 2);
    if (end < 0) throw new PosixPatternError(`'[${mark}' without '${mark}]'`);
    const inside = this.#source.slice(this.#at + 2, end);
    this.#at = end + 2;
    return inside;
  }

  #take(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }
}

function quoted(character: string): string {
  return /[\\^$.*+?()[\]{}|/]/.test(character) ? `\\${character}` : character;
}

function quotedInSet(character: string): string {
  return /[\\\]^[-]/.test(character) ? `\\${character}` : character;
}
