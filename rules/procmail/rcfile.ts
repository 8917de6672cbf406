/** Reads an rcfile into assignments and recipes, with the line of each. Nothing is expanded here. procmailrc(5). */
import { procmailLimits } from '../../core/base/limits/rules.ts';

/** Text as it stands in the file, quotes and all. */
export type Raw = string;

export interface Assignment {
  readonly kind: 'assignment';
  readonly line: number;
  readonly name: string;
  /** Undefined: the name stood alone, and the variable goes. */
  readonly value: Raw | undefined;
}

export interface Recipe {
  readonly kind: 'recipe';
  readonly line: number;
  /** The last line of its action. */
  readonly endLine: number;
  /** Letters as they stood, unknown ones left out. */
  readonly flags: ReadonlySet<string>;
  /** `implicit`: named after the destination. */
  readonly lock: { readonly implicit: true } | { readonly name: Raw } | undefined;
  readonly conditions: readonly Condition[];
  readonly action: Action;
}

export interface Condition {
  readonly line: number;
  /** Without the star, outer white space and the backslashes that continue it. */
  readonly text: Raw;
}

export type Action =
  | { readonly kind: 'block'; readonly items: readonly Item[] }
  | { readonly kind: 'forward'; readonly line: number; readonly text: Raw }
  | {
      readonly kind: 'pipe';
      readonly line: number;
      readonly text: Raw;
      /** Takes the program's output. */
      readonly variable?: string;
    }
  | { readonly kind: 'folder'; readonly line: number; readonly text: Raw };

export type Item = Assignment | Recipe;

/** What procmail says of a line that it cannot read, and goes on. */
export interface Problem {
  readonly line: number;
  readonly message: string;
}

export interface Rcfile {
  readonly items: readonly Item[];
  readonly problems: readonly Problem[];
}

/** Never throws: what cannot be read is skipped, as procmail does, and stands in `problems`. */
export function parseRcfile(source: string): Rcfile {
  const known = parsed.get(source);
  if (known !== undefined) return known;
  const rcfile = new Parser(source).parse();
  if (source.length > procmailLimits.rememberedCharactersMax) return rcfile;
  if (parsed.size >= procmailLimits.rememberedRcfilesMax) parsed.delete(parsed.keys().next().value!);
  parsed.set(source, rcfile);
  return rcfile;
}

/** By text, oldest first: in a server the same rcfile is run for every mail of its user. */
const parsed = new Map<string, Rcfile>();

const flagLetters = 'HBDAaEehbfcwWir';
const blank = /[ \t]/;
const nameStart = /[A-Za-z_0-9]/;
const captured = /([A-Za-z_][A-Za-z_0-9]*)[ \t]*=[ \t]*\|/y;

class Parser {
  readonly #source: string;
  readonly #problems: Problem[] = [];
  #at = 0;
  /** Quotes and braces that the octet stands in. */
  #depth = 0;
  /** Of the octet that #lineAt stands at. */
  #line = 1;
  #lineAt = 0;

  constructor(source: string) {
    this.#source = source;
  }

  parse(): Rcfile {
    return { items: this.#items(0), problems: this.#problems };
  }

  #items(depth: number): Item[] {
    const items: Item[] = [];
    for (;;) {
      this.#skipBlanksAndComments();
      const character = this.#source[this.#at];
      if (character === undefined) {
        if (depth > 0) this.#complain('Missing closing brace');
        return items;
      }
      if (character === '}') {
        this.#at += 1;
        if (depth > 0) return items;
        this.#complain('Closing brace unexpected');
      } else if (character === ':') {
        const recipe = this.#recipe(depth);
        if (recipe !== undefined) items.push(recipe);
      } else if (nameStart.test(character)) {
        items.push(this.#assignment());
      } else {
        this.#complain(`Skipped "${this.#restOfLine()}"`);
      }
    }
  }

  #assignment(): Assignment {
    const line = this.#lineNow();
    const name = this.#while(nameStart);
    this.#while(blank);
    if (this.#source[this.#at] !== '=') return { kind: 'assignment', line, name, value: undefined };
    this.#at += 1;
    this.#while(blank);
    return { kind: 'assignment', line, name, value: this.#word() };
  }

  #recipe(depth: number): Recipe | undefined {
    const line = this.#lineNow();
    this.#at += 1;
    const digits = this.#while(/[0-9]/);
    const flags = this.#flags();
    const lock = this.#lock();
    // The way of old: so many lines, each of them a condition.
    const conditions = this.#conditions(digits === '' ? 1 : Number(digits));
    const action = this.#action(depth);
    if (action === undefined) {
      this.#complain('Incomplete recipe');
      return undefined;
    }
    return { kind: 'recipe', line, endLine: this.#lineBefore(), flags, lock, conditions, action };
  }

  #flags(): Set<string> {
    const flags = new Set<string>();
    for (;;) {
      this.#while(blank);
      const character = this.#source[this.#at];
      if (character === undefined || character === '\n' || character === ':' || character === '#')
        return flags;
      if (flagLetters.includes(character)) {
        flags.add(character);
        this.#at += 1;
      } else {
        this.#complain(`Skipped "${this.#while(/[^ \t\n:]/)}"`);
      }
    }
  }

  #lock(): Recipe['lock'] {
    if (this.#source[this.#at] !== ':') {
      this.#restOfLine();
      return undefined;
    }
    this.#at += 1;
    this.#while(blank);
    const character = this.#source[this.#at];
    const implicit = character === undefined || character === '\n' || character === '#';
    const lock = implicit ? ({ implicit: true } as const) : { name: this.#word() };
    this.#restOfLine();
    return lock;
  }

  #conditions(count: number): Condition[] {
    const conditions: Condition[] = [];
    for (;;) {
      this.#skipBlanksAndComments();
      const line = this.#lineNow();
      if (this.#source[this.#at] === '*') this.#at += 1;
      else if (conditions.length >= count || this.#at >= this.#source.length) return conditions;
      conditions.push({ line, text: this.#logicalLine(true).trim() });
    }
  }

  #action(depth: number): Action | undefined {
    this.#skipBlanksAndComments();
    const line = this.#lineNow();
    const character = this.#source[this.#at];
    if (character === undefined || character === '}') return undefined;
    if (character === '{' && depth < procmailLimits.blockDepthMax) {
      this.#at += 1;
      return { kind: 'block', items: this.#items(depth + 1) };
    }
    if (character === '!' || character === '|') {
      this.#at += 1;
      const text = this.#logicalLine(false).trim();
      return { kind: character === '!' ? 'forward' : 'pipe', line, text };
    }
    captured.lastIndex = this.#at;
    const [whole, variable] = captured.exec(this.#source) ?? [];
    if (whole !== undefined) {
      this.#at += whole.length;
      return { kind: 'pipe', line, text: this.#logicalLine(false).trim(), variable: variable! };
    }
    return { kind: 'folder', line, text: this.#folder() };
  }

  /** Words up to the end of the line or a comment. */
  #folder(): Raw {
    const words: Raw[] = [];
    for (;;) {
      this.#while(blank);
      const character = this.#source[this.#at];
      if (character === undefined || character === '\n' || character === '#') break;
      words.push(this.#word());
    }
    return words.join(' ');
  }

  /** A line with those that a backslash continues, the line ends gone. @param indented white space before a continued line is no part of it */
  #logicalLine(indented: boolean): string {
    let text = '';
    for (;;) {
      const end = this.#source.indexOf('\n', this.#at);
      const line = this.#source.slice(this.#at, end < 0 ? undefined : end);
      this.#at = end < 0 ? this.#source.length : end + 1;
      if (!line.endsWith('\\') || end < 0) return text + line;
      text += line.slice(0, -1);
      if (indented) this.#while(blank);
    }
  }

  /** Up to white space that is not quoted. */
  #word(): Raw {
    const start = this.#at;
    while (this.#at < this.#source.length && !/\s/.test(this.#source[this.#at]!)) this.#skipQuoted();
    return this.#source.slice(start, this.#at);
  }

  /** One octet, or what a quote, a backquote or a brace holds together. */
  #skipQuoted(): void {
    const character = this.#source[this.#at]!;
    this.#at += 1;
    if (this.#depth > procmailLimits.braceDepthMax) return;
    this.#depth += 1;
    if (character === '\\') this.#at += 1;
    else if (character === "'") this.#skipTo("'");
    else if (character === '"' || character === '`') this.#skipTo(character);
    else if (character === '$' && this.#source[this.#at] === '{') this.#skipBraces();
    this.#depth -= 1;
  }

  #skipTo(quote: string): void {
    const line = this.#lineNow();
    while (this.#at < this.#source.length) {
      const character = this.#source[this.#at]!;
      this.#at += 1;
      if (character === quote) return;
      if (character === '\\' && quote !== "'") this.#at += 1;
      else if (character === '`' && quote === '"') this.#skipTo('`');
    }
    this.#problems.push({ line, message: `Unexpected EOL: a ${quote} is never closed` });
  }

  #skipBraces(): void {
    this.#at += 1;
    while (this.#at < this.#source.length && this.#source[this.#at] !== '\n') {
      if (this.#source[this.#at] === '}') {
        this.#at += 1;
        return;
      }
      this.#skipQuoted();
    }
  }

  #skipBlanksAndComments(): void {
    for (;;) {
      this.#while(/\s/);
      if (this.#source[this.#at] !== '#') return;
      this.#restOfLine();
    }
  }

  #restOfLine(): string {
    const end = this.#source.indexOf('\n', this.#at);
    const rest = this.#source.slice(this.#at, end < 0 ? undefined : end);
    this.#at = end < 0 ? this.#source.length : end;
    return rest;
  }

  #while(allowed: RegExp): string {
    const start = this.#at;
    while (this.#at < this.#source.length && allowed.test(this.#source[this.#at]!)) this.#at += 1;
    return this.#source.slice(start, this.#at);
  }

  #lineNow(): number {
    for (; this.#lineAt < this.#at; this.#lineAt++) if (this.#source[this.#lineAt] === '\n') this.#line += 1;
    return this.#line;
  }

  /** Of the octet that was read last. */
  #lineBefore(): number {
    return this.#lineNow() - (this.#source[this.#at - 1] === '\n' ? 1 : 0);
  }

  #complain(message: string): void {
    this.#problems.push({ line: this.#lineNow(), message });
  }
}
