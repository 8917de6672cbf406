/** Reads a filter file into statements and expressions. maildropfilter(7), "Expressions" and "Statements". */
import { maildropLimits } from '../../core/base/limits/rules.ts';
import { FilterSyntaxError, type Token, Tokens } from './tokens.ts';

export type Expression =
  | { readonly kind: 'text' | 'literal' | 'command'; readonly text: string; readonly line: number }
  | { readonly kind: 'concat'; readonly parts: readonly Expression[] }
  | PatternExpression
  | { readonly kind: 'match'; readonly subject: Expression; readonly pattern: PatternExpression }
  | { readonly kind: 'assign'; readonly name: string; readonly value: Expression; readonly line: number }
  | { readonly kind: 'binary'; readonly sign: string; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'not' | 'complement'; readonly value: Expression }
  | {
      readonly kind: 'call';
      readonly name: string;
      readonly values: readonly Expression[];
      readonly line: number;
    };

/** As written, slashes and options included. */
export interface PatternExpression {
  readonly kind: 'pattern';
  readonly text: string;
  readonly line: number;
}

export type Statement =
  | { readonly kind: 'block'; readonly statements: readonly Statement[] }
  | { readonly kind: 'expression'; readonly value: Expression }
  | {
      readonly kind: 'if';
      readonly condition: Expression;
      readonly then: Statement;
      readonly otherwise?: Statement;
    }
  | { readonly kind: 'while'; readonly condition: Expression; readonly body: Statement }
  | { readonly kind: 'foreach'; readonly over: Expression; readonly body: Statement }
  | { readonly kind: 'exception'; readonly body: Statement }
  | {
      readonly kind: 'dotlock' | 'flock';
      readonly path: Expression;
      readonly body: Statement;
      readonly line: number;
    }
  | { readonly kind: SimpleStatement; readonly value: Expression; readonly line: number }
  | { readonly kind: 'exit'; readonly line: number };

export type SimpleStatement =
  | 'to'
  | 'cc'
  | 'echo'
  | 'xfilter'
  | 'system'
  | 'logfile'
  | 'log'
  | 'include'
  | 'import'
  | 'unset';

const simple: readonly string[] = [
  ...['to', 'cc', 'echo', 'xfilter', 'system', 'logfile', 'log', 'include', 'import', 'unset'],
];
/** What a filter may not do that somebody else runs. maildrop(1), "Embedded mode". */
const notEmbedded: readonly string[] = [
  'to',
  'cc',
  'xfilter',
  'system',
  'dotlock',
  'flock',
  'logfile',
  'log',
];
/** One value without parentheses of their own. */
const ofElement: readonly string[] = ['length', 'getaddr', 'escape', 'tolower', 'toupper', 'hasaddr'];
/** Values between parentheses: the fewest and the most. */
const ofList: Readonly<Record<string, readonly [number, number]>> = {
  substr: [2, 3],
  lookup: [2, 3],
};
/** By precedence, the weakest first. */
const comparisons: readonly string[] = '< <= > >= == != lt le gt ge eq ne'.split(' ');

/** @param source an octet a character  @param embedded what only the mail's owner may do is an error  @throws FilterSyntaxError */
export function parseFilter(source: string, embedded = false): Statement {
  if (source.length > maildropLimits.filterBytesMax)
    throw new FilterSyntaxError(1, 'The filter is too large.');
  return new Parser(source, embedded).parse();
}

class Parser {
  readonly #tokens: Tokens;
  readonly #embedded: boolean;
  #token: Token;
  #depth = 0;

  constructor(source: string, embedded: boolean) {
    this.#tokens = new Tokens(source);
    this.#embedded = embedded;
    this.#token = this.#read();
  }

  parse(): Statement {
    const statements = this.#statements();
    if (this.#token.kind !== 'end') throw this.#error();
    return { kind: 'block', statements };
  }

  #read(): Token {
    const token = this.#tokens.next();
    const forbidden = token.kind === 'command' || (token.kind === 'sign' && notEmbedded.includes(token.text));
    if (this.#embedded && forbidden) {
      throw new FilterSyntaxError(token.line, `'${token.text}' disabled in embedded mode.`);
    }
    return token;
  }

  #next(): void {
    this.#token = this.#read();
  }

  #error(message = 'Syntax error.'): FilterSyntaxError {
    return new FilterSyntaxError(this.#token.line, message);
  }

  #isSign(text: string): boolean {
    return this.#token.kind === 'sign' && this.#token.text === text;
  }

  #take(text: string, message?: string): void {
    if (!this.#isSign(text)) throw this.#error(message);
    this.#next();
  }

  #takeEnd(message?: string): void {
    if (this.#token.kind !== 'end-of-statement') throw this.#error(message);
    this.#next();
  }

  /** @throws FilterSyntaxError past the limit */
  #nested<Result>(read: () => Result): Result {
    this.#depth += 1;
    if (this.#depth > maildropLimits.nestingMax) throw this.#error('Nested too deeply.');
    const result = read();
    this.#depth -= 1;
    return result;
  }

  // Statements

  #statements(): Statement[] {
    const statements: Statement[] = [];
    while (this.#token.kind !== 'end' && !this.#isSign('}')) {
      if (this.#token.kind === 'end-of-statement') this.#next();
      else statements.push(this.#statement());
    }
    return statements;
  }

  #statement(): Statement {
    return this.#nested(() => this.#oneStatement());
  }

  #oneStatement(): Statement {
    const { kind, text, line } = this.#token;
    if (kind !== 'sign') return this.#expressionStatement();
    if (simple.includes(text)) {
      this.#next();
      const value = this.#expression();
      this.#takeEnd();
      return { kind: text as SimpleStatement, value, line };
    }
    switch (text) {
      case 'if':
        return this.#if();
      case 'while': {
        const condition = this.#condition('while');
        return { kind: 'while', condition, body: this.#body() };
      }
      case '{':
        return this.#block();
      case 'foreach':
        return this.#foreach();
      case 'exception':
        this.#next();
        if (!this.#isSign('{')) throw this.#error();
        return { kind: 'exception', body: this.#statement() };
      case 'dotlock':
      case 'flock': {
        this.#next();
        const path = this.#expression();
        if (!this.#isSign('{')) throw this.#error();
        return { kind: text, path, body: this.#statement(), line };
      }
      case 'exit':
        this.#next();
        this.#takeEnd();
        return { kind: 'exit', line };
      default:
        return this.#expressionStatement();
    }
  }

  #expressionStatement(): Statement {
    const value = this.#expression();
    this.#takeEnd();
    return { kind: 'expression', value };
  }

  #block(): Statement {
    this.#take('{');
    const statements = this.#statements();
    this.#take('}', 'Missing }');
    this.#takeEnd('Syntax error after }');
    return { kind: 'block', statements };
  }

  /** Between parentheses that end their line. */
  #condition(name: string): Expression {
    this.#next();
    this.#take('(', `Syntax error after ${name}`);
    const condition = this.#expression();
    this.#take(')', 'Missing )');
    this.#takeEnd('Syntax error after )');
    return condition;
  }

  #if(): Statement {
    const condition = this.#condition('if');
    const then = this.#body();
    if (this.#isSign('elsif'))
      return { kind: 'if', condition, then, otherwise: this.#nested(() => this.#if()) };
    if (!this.#isSign('else')) return { kind: 'if', condition, then };
    this.#next();
    this.#takeEnd('Syntax error after else');
    return { kind: 'if', condition, then, otherwise: this.#body() };
  }

  #foreach(): Statement {
    this.#next();
    const over = this.#expression();
    if (over.kind !== 'pattern' && over.kind !== 'match') throw this.#error();
    this.#takeEnd();
    return { kind: 'foreach', over, body: this.#body() };
  }

  /** A statement, or nothing where only an end of one stands. */
  #body(): Statement {
    if (this.#token.kind !== 'end-of-statement') return this.#statement();
    this.#next();
    return { kind: 'block', statements: [] };
  }

  // Expressions

  #expression(): Expression {
    return this.#nested(() => this.#assignment());
  }

  #assignment(): Expression {
    const left = this.#binary(0);
    if (!this.#isSign('=')) return left;
    if (left.kind !== 'text') throw this.#error('Syntax error before =');
    this.#next();
    const value = this.#binary(0);
    if (this.#isSign('=')) throw this.#error('Syntax error before =');
    return { kind: 'assign', name: left.text, value, line: left.line };
  }

  /** @param level of `||`, `&&`, comparisons, `|`, `&`, sums, products */
  #binary(level: number): Expression {
    const levels = [['||'], ['&&'], comparisons, ['|'], ['&'], ['+', '-'], ['*', '/']];
    const own = levels[level];
    if (own === undefined) return this.#matched();
    let left = this.#binary(level + 1);
    while (this.#token.kind === 'sign' && own.includes(this.#token.text)) {
      const sign = this.#token.text;
      this.#next();
      // What follows a product's sign is no match of its own.
      const right = level === levels.length - 1 ? this.#element() : this.#binary(level + 1);
      left = { kind: 'binary', sign, left, right };
      // a < b < c is an error.
      if (own === comparisons) return left;
    }
    return left;
  }

  #matched(): Expression {
    let subject = this.#element();
    while (this.#isSign('=~')) {
      this.#next();
      if (this.#token.kind !== 'pattern') throw this.#error('Syntax error after =~');
      subject = { kind: 'match', subject, pattern: this.#pattern() };
    }
    return subject;
  }

  #pattern(): PatternExpression {
    const { text, line } = this.#token;
    this.#next();
    return { kind: 'pattern', text, line };
  }

  #element(): Expression {
    return this.#nested(() => this.#oneElement());
  }

  #oneElement(): Expression {
    const { kind, text, line } = this.#token;
    if (kind === 'pattern') return this.#pattern();
    if (kind !== 'sign') return this.#texts();
    if (text === '!' || text === '~') {
      this.#next();
      return { kind: text === '!' ? 'not' : 'complement', value: this.#element() };
    }
    if (text === '(') {
      this.#next();
      const value = this.#expression();
      this.#take(')', 'Missing )');
      return value;
    }
    if (text.startsWith('gdbm')) throw this.#error('GDBM/DB support is not available.');
    if (text === 'time') {
      this.#next();
      return { kind: 'call', name: text, values: [], line };
    }
    if (ofElement.includes(text)) {
      this.#next();
      return { kind: 'call', name: text, values: [this.#element()], line };
    }
    const [min, max] = ofList[text] ?? [0, 0];
    if (max === 0) throw this.#error();
    this.#next();
    return { kind: 'call', name: text, values: this.#list(min, max), line };
  }

  #list(min: number, max: number): Expression[] {
    this.#take('(', 'Missing (');
    const values = [this.#expression()];
    while (values.length < min || (values.length < max && this.#isSign(','))) {
      this.#take(',', 'Missing ,');
      values.push(this.#expression());
    }
    this.#take(')', 'Missing )');
    return values;
  }

  /** Texts in a row are one. */
  #texts(): Expression {
    const parts: Expression[] = [];
    for (;;) {
      const { kind, text, line } = this.#token;
      if (kind !== 'text' && kind !== 'literal' && kind !== 'command') break;
      parts.push({ kind, text, line });
      this.#next();
    }
    if (parts.length === 0) throw this.#error();
    return parts.length === 1 ? parts[0]! : { kind: 'concat', parts };
  }
}
