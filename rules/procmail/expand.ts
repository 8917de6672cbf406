/**
 * Expands quotes, variables and backquotes as sh(1) and procmail do. A backquote asks for a program's output, so that
 * expanding is a generator: it yields the question and is given the answer.
 */
import { procmailLimits } from '../../core/base/limits/rules.ts';
import type { Raw } from './rcfile.ts';

/** What expressions refer to. */
export interface Scope {
  /** Undefined where the variable is not set. */
  get(name: string): string | undefined;
  /** `$1`, `$2` ... */
  readonly positional: readonly string[];
}

/** Yields what stands between backquotes, and is given what that program printed, without its last line end. */
export type Expansion<Result> = Generator<string, Result, string>;

/** One text, whatever white space is in it: an assignment's value, a lock's name. */
export function* expandText(raw: Raw, scope: Scope): Expansion<string> {
  return yield* expandNested(raw, scope, 0);
}

/** @param depth of the braces that it stands in; past the limit it is nothing */
function* expandNested(raw: Raw, scope: Scope, depth: number): Expansion<string> {
  if (depth > procmailLimits.braceDepthMax) return '';
  const words = yield* new Expander(raw, scope, false, false, depth).words();
  return words.join(' ').slice(0, procmailLimits.lineMax);
}

/** A list of words: unquoted variables are split at white space. */
export function* expandWords(raw: Raw, scope: Scope): Expansion<string[]> {
  return yield* new Expander(raw, scope, true, false).words();
}

/** As between double quotes: conditions that begin with a dollar. */
export function* expandQuoted(raw: Raw, scope: Scope): Expansion<string> {
  const words = yield* new Expander(raw, scope, false, true).words();
  return words.join('').slice(0, procmailLimits.lineMax);
}

class Expander {
  readonly #raw: Raw;
  readonly #scope: Scope;
  readonly #split: boolean;
  readonly #quotedWhole: boolean;
  readonly #depth: number;
  #at = 0;
  #words: string[] = [];
  /** The word that is being read; undefined between words. */
  #word: string | undefined;

  constructor(raw: Raw, scope: Scope, split: boolean, quotedWhole: boolean, depth = 0) {
    this.#raw = raw;
    this.#scope = scope;
    this.#split = split;
    this.#quotedWhole = quotedWhole;
    this.#depth = depth;
  }

  *words(): Expansion<string[]> {
    if (this.#quotedWhole) {
      yield* this.#doubleQuoted(undefined);
    } else {
      while (this.#at < this.#raw.length) yield* this.#unquoted();
    }
    this.#endWord();
    return this.#words;
  }

  #add(text: string): void {
    const word = this.#word ?? '';
    this.#word = word + text.slice(0, procmailLimits.lineMax - word.length);
  }

  #endWord(): void {
    if (this.#word !== undefined) this.#words.push(this.#word);
    this.#word = undefined;
  }

  /** What came out of an unquoted variable. */
  #addSplit(text: string): void {
    if (!this.#split) {
      this.#add(text);
      return;
    }
    for (const piece of text.split(/([ \t\n]+)/)) {
      if (/^[ \t\n]+$/.test(piece)) this.#endWord();
      else if (piece !== '') this.#add(piece);
    }
  }

  *#unquoted(): Expansion<void> {
    const character = this.#raw[this.#at]!;
    this.#at += 1;
    if (/\s/.test(character)) {
      this.#endWord();
    } else if (character === "'") {
      const end = this.#raw.indexOf("'", this.#at);
      this.#add(this.#raw.slice(this.#at, end < 0 ? undefined : end));
      this.#at = end < 0 ? this.#raw.length : end + 1;
    } else if (character === '"') {
      if (this.#raw.startsWith('$@"', this.#at) && this.#split) {
        this.#at += 3;
        for (const argument of this.#scope.positional) {
          this.#endWord();
          this.#add(argument);
        }
      } else {
        yield* this.#doubleQuoted('"');
      }
    } else if (character === '\\') {
      const next = this.#raw[this.#at];
      this.#at += 1;
      if (next === undefined) this.#add('\\');
      else if (next !== '\n') this.#add(next);
    } else if (character === '`') {
      this.#addSplit(yield* this.#backquoted());
    } else if (character === '$') {
      const { text, whole } = yield* this.#variable('@');
      if (whole) this.#add(text);
      else this.#addSplit(text);
    } else {
      this.#add(character);
    }
  }

  /** @param quote what ends it; undefined: the end of the text */
  *#doubleQuoted(quote: string | undefined): Expansion<void> {
    this.#add('');
    while (this.#at < this.#raw.length) {
      const character = this.#raw[this.#at]!;
      this.#at += 1;
      if (character === quote) return;
      if (character === '\\') {
        const next = this.#raw[this.#at] ?? '';
        this.#at += 1;
        if (next === '\n') continue;
        this.#add(next !== '' && '\\"`$'.includes(next) ? next : `\\${next}`);
      } else if (character === '`') {
        this.#add(yield* this.#backquoted());
      } else if (character === '$') {
        this.#add((yield* this.#variable('')).text);
      } else {
        this.#add(character);
      }
    }
  }

  *#backquoted(): Expansion<string> {
    let command = '';
    while (this.#at < this.#raw.length) {
      const character = this.#raw[this.#at]!;
      this.#at += 1;
      if (character === '`') break;
      const next = this.#raw[this.#at];
      if (character === '\\' && next !== undefined && '`\\$'.includes(next)) {
        command += next === '`' ? next : character + next;
        this.#at += 1;
      } else {
        command += character;
      }
    }
    return yield command;
  }

  /** @param all what `$@` comes to where it stands for no arguments  @returns `whole` where the text must not be split */
  *#variable(all: string): Expansion<{ readonly text: string; readonly whole?: boolean }> {
    const rest = this.#raw.slice(this.#at);
    const special = /^[$#?_=-]/.exec(rest)?.[0] ?? /^[0-9]/.exec(rest)?.[0];
    if (special !== undefined) {
      this.#at += 1;
      return { text: this.#scope.get(special) ?? '' };
    }
    if (rest.startsWith('@')) {
      this.#at += 1;
      return { text: all };
    }
    const name = /^\\?[A-Za-z_][A-Za-z_0-9]*/.exec(rest)?.[0];
    if (name !== undefined) {
      this.#at += name.length;
      if (!name.startsWith('\\')) return { text: this.#scope.get(name) ?? '' };
      return { text: disarmed(this.#scope.get(name.slice(1)) ?? ''), whole: true };
    }
    const braced = /^\{([A-Za-z_][A-Za-z_0-9]*|[0-9])(:?[-+]|\})/.exec(rest);
    if (braced === null) return { text: '$' };
    this.#at += braced[0].length;
    return { text: yield* this.#alternative(this.#scope.get(braced[1]!), braced[2]!) };
  }

  /** After the operator of `${name:-text}` and its like, past the closing brace. */
  *#alternative(value: string | undefined, operator: string): Expansion<string> {
    if (operator === '}') return value ?? '';
    const end = this.#closingBrace();
    const text = this.#raw.slice(this.#at, end);
    this.#at = end + 1;
    const has = operator.startsWith(':') ? value !== undefined && value !== '' : value !== undefined;
    const wantsText = operator.endsWith('+') ? has : !has;
    if (wantsText) return yield* expandNested(text, this.#scope, this.#depth + 1);
    return operator.endsWith('+') ? '' : (value ?? '');
  }

  #closingBrace(): number {
    let depth = 0;
    for (let at = this.#at; at < this.#raw.length; at++) {
      if (this.#raw[at] === '\\') at += 1;
      else if (this.#raw[at] === '{') depth += 1;
      else if (this.#raw[at] === '}' && depth-- === 0) return at;
    }
    return this.#raw.length;
  }
}

/** Every octet that means something in an expression quoted; the empty group keeps a first one from meaning something to a condition. */
function disarmed(text: string): string {
  return `()${text.replace(/[\\^$.*+?()[\]|]/g, '\\$&')}`;
}
