/** Words and signs of a filter file: maildropfilter(7), "Lexical structure". */

export type TokenKind =
  /** A word or a text between double quotes, with its variables; between single quotes; between backquotes. */
  | 'text'
  | 'literal'
  | 'command'
  | 'pattern'
  /** A name of the language, or a sign. */
  | 'sign'
  | 'end-of-statement'
  | 'end';

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly line: number;
}

/** What a filter file says that maildrop cannot read. */
export class FilterSyntaxError extends Error {
  readonly line: number;

  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

/** Words that stand for something; all others are texts. */
const names = new Set(
  `lt le gt ge eq ne to cc length substr if elsif else while exception echo xfilter system dotlock flock logfile
  log include exit foreach getaddr lookup escape tolower toupper hasaddr gdbmopen gdbmclose gdbmfetch gdbmstore
  time import unset -`.split(/\s+/),
);

const signs = ['&&', '||', '<=', '>=', '==', '=~', '!=', ...'&|{}()+*~<>=!,'];
const word = /[\w\-@.:/$][\w\-@.:/${}]*/y;
const patternOptions = /:[\w\-+.,]*/y;

export class Tokens {
  readonly #source: string;
  #at = 0;
  #line = 1;
  #lineAt = 0;
  /** Where the token that is read begins. */
  #startLine = 1;
  #last: Token = { kind: 'end-of-statement', text: ';', line: 1 };

  /** @param source an octet a character */
  constructor(source: string) {
    this.#source = source;
  }

  /** @throws FilterSyntaxError */
  next(): Token {
    const token = this.#read();
    this.#last = token;
    return token;
  }

  #read(): Token {
    if (this.#skipBlanks()) return this.#token('end-of-statement', ';');
    const character = this.#source[this.#at];
    if (character === undefined) {
      const ended = this.#last.kind === 'end-of-statement' || this.#last.kind === 'end';
      return ended ? this.#token('end', '') : this.#token('end-of-statement', ';');
    }
    if (character === '"') return this.#token('text', this.#quoted(character));
    if (character === "'") return this.#token('literal', this.#quoted(character));
    if (character === '`') return this.#token('command', this.#quoted(character));
    if (character === '/' && !['=', 'to', 'cc'].includes(this.#last.kind === 'sign' ? this.#last.text : '')) {
      return this.#patternOrDivision();
    }
    return this.#wordOrSign();
  }

  #wordOrSign(): Token {
    word.lastIndex = this.#at;
    const [text] = word.exec(this.#source) ?? [];
    if (text !== undefined) {
      this.#at += text.length;
      return this.#token(names.has(text) ? 'sign' : 'text', text);
    }
    if (this.#source[this.#at] === ';') {
      this.#at += 1;
      return this.#token('end-of-statement', ';');
    }
    const sign = signs.find((each) => this.#source.startsWith(each, this.#at));
    if (sign === undefined) throw this.#error('Syntax error.');
    this.#at += sign.length;
    return this.#token('sign', sign);
  }

  /** True where a line ended: that ends a statement, unless a backslash stands before it. */
  #skipBlanks(): boolean {
    for (;;) {
      const character = this.#source[this.#at];
      this.#startLine = this.#lineNow();
      if (character === '\n' || character === '\r') {
        this.#at += 1;
        return true;
      }
      if (character === '#') this.#toLineEnd();
      else if (character === '\\') this.#continueLine();
      else if (character !== undefined && /[ \t\v\f]/.test(character)) this.#at += 1;
      else return false;
    }
  }

  #continueLine(): void {
    if (!/\s/.test(this.#source[this.#at + 1] ?? '')) throw this.#error('Syntax error.');
    this.#toLineEnd();
    this.#at += 1;
  }

  #toLineEnd(): void {
    const end = this.#source.indexOf('\n', this.#at);
    this.#at = end < 0 ? this.#source.length : end;
  }

  /** Up to the closing quote. A backslash goes before the quote and before itself; before a line end it joins lines. */
  #quoted(quote: string): string {
    this.#at += 1;
    const pieces: string[] = [];
    for (;;) {
      const character = this.#source[this.#at];
      if (character === undefined || character === '\n' || character === '\r') {
        throw this.#error('Missing \', ", or `.');
      }
      if (character === quote) break;
      this.#at += 1;
      pieces.push(character === '\\' ? this.#escaped(quote) : character);
    }
    this.#at += 1;
    return pieces.join('');
  }

  #escaped(quote: string): string {
    const joined = /[ \t\v\f]*(?:#[^\n]*|\r[^\n]*)?\n\s*/y;
    joined.lastIndex = this.#at;
    const [blank] = joined.exec(this.#source) ?? [];
    if (blank !== undefined) {
      this.#at += blank.length;
      return '';
    }
    const character = this.#source[this.#at] ?? '';
    if (character === '' || character === '\r') throw this.#error('Missing \', ", or `.');
    if (/\s/.test(character)) return '\\';
    this.#at += 1;
    return character === quote || character === '\\' ? character : `\\${character}`;
  }

  #patternOrDivision(): Token {
    const start = this.#at;
    this.#at += 1;
    if (/^\s?$/.test(this.#source[this.#at] ?? '')) return this.#token('sign', '/');
    while (this.#source[this.#at] !== '/') {
      if (this.#source[this.#at] === '\\') this.#at += 1;
      if (['\n', '\r', undefined].includes(this.#source[this.#at])) throw this.#error('Syntax error.');
      this.#at += 1;
    }
    this.#at += 1;
    patternOptions.lastIndex = this.#at;
    this.#at += patternOptions.exec(this.#source)?.[0].length ?? 0;
    return this.#token('pattern', this.#source.slice(start, this.#at));
  }

  #token(kind: TokenKind, text: string): Token {
    return { kind, text, line: this.#startLine };
  }

  #error(message: string): FilterSyntaxError {
    return new FilterSyntaxError(this.#lineNow(), message);
  }

  #lineNow(): number {
    for (; this.#lineAt < this.#at; this.#lineAt++) if (this.#source[this.#lineAt] === '\n') this.#line += 1;
    return this.#line;
  }
}
