/**
 * From tokens to a tree of commands, tests and arguments: grammar only, nothing is looked up. RFC 5228 section 8.2.
 * After an error the rest of that command is passed over, its block excepted, so that all errors are found at once.
 */
import { describeToken, type Token, type TokenType, tokenise } from './lexer.ts';
import type { SieveLimits } from './limits.ts';
import type { Offset, Problems } from './problems.ts';

export type Argument =
  | { readonly type: 'string'; readonly at: Offset; readonly text: string }
  | { readonly type: 'list'; readonly at: Offset; readonly items: readonly StringArgument[] }
  | { readonly type: 'number'; readonly at: Offset; readonly number: number }
  | { readonly type: 'tag'; readonly at: Offset; readonly name: string };
export type StringArgument = Extract<Argument, { type: 'string' }>;

/** A command or a test. */
export interface Node {
  readonly name: string;
  readonly at: Offset;
  readonly arguments: readonly Argument[];
  readonly tests: readonly Node[];
  /** True where the tests stand in brackets. */
  readonly testList: boolean;
  readonly block?: readonly Node[];
}

/** Ends the command that the error is in; the error has been reported. */
class Recover extends Error {}

export function parse(
  source: string,
  problems: Problems,
  limits: Pick<SieveLimits, 'nestingMax' | 'argumentsMax' | 'listItemsMax'>,
): readonly Node[] {
  return new Parser(tokenise(source, problems), problems, limits).script();
}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #problems: Problems;
  readonly #limits: Pick<SieveLimits, 'nestingMax' | 'argumentsMax' | 'listItemsMax'>;
  #next = 0;

  constructor(
    tokens: readonly Token[],
    problems: Problems,
    limits: Pick<SieveLimits, 'nestingMax' | 'argumentsMax' | 'listItemsMax'>,
  ) {
    this.#tokens = tokens;
    this.#problems = problems;
    this.#limits = limits;
  }

  script(): readonly Node[] {
    const commands: Node[] = [];
    while (true) {
      commands.push(...this.#commands(0));
      const token = this.#token();
      if (token.type === 'end') return commands;
      this.#problems.error(token.at, `unexpected ${describeToken(token)} found at the top level`, 'command');
      this.#next++;
    }
  }

  #token(): Token {
    return this.#tokens[this.#next]!;
  }

  #is(type: TokenType): boolean {
    return this.#token().type === type;
  }

  #take(type: TokenType): boolean {
    if (!this.#is(type)) return false;
    this.#next++;
    return true;
  }

  #commands(depth: number): Node[] {
    const commands: Node[] = [];
    while (!this.#is('}') && !this.#is('end')) {
      const command = this.#command(depth);
      if (command) commands.push(command);
    }
    return commands;
  }

  #command(depth: number): Node | undefined {
    const name = this.#token();
    try {
      if (name.type !== 'identifier') {
        // A semicolon too many is the same mistake as any other here, but nothing follows it.
        return this.#fail(name, `expected command identifier, but found ${describeToken(name)}`, 'command');
      }
      this.#next++;
      const parts = this.#parts(name, depth);
      if (this.#take(';')) return { name: name.text, at: name.at, ...parts };
      if (this.#is('{')) return { name: name.text, at: name.at, ...parts, block: this.#block(depth) };
      const found = this.#token();
      return this.#fail(
        found,
        `expected end of command ';' or the beginning of a compound block '{', but found ${describeToken(found)}`,
        ';',
      );
    } catch (error) {
      if (!(error instanceof Recover)) throw error;
      this.#recover(depth);
      return undefined;
    }
  }

  #fail(token: Token, message: string, expected: string): never {
    this.#problems.error(token.at, message, expected);
    throw new Recover();
  }

  /** Past the end of a broken command: its semicolon, or its block, whose errors are wanted as well. */
  #recover(depth: number): void {
    while (!this.#is('end') && !this.#is('}')) {
      if (this.#take(';')) return;
      if (this.#is('{')) {
        this.#block(depth);
        return;
      }
      this.#next++;
    }
  }

  #block(depth: number): readonly Node[] {
    const open = this.#token();
    this.#next++;
    if (depth + 1 >= this.#limits.nestingMax) {
      this.#problems.error(
        open.at,
        `cannot nest command blocks deeper than ${this.#limits.nestingMax} levels`,
      );
      this.#skipBlock();
      return [];
    }
    const commands = this.#commands(depth + 1);
    if (!this.#take('}')) {
      this.#problems.error(
        this.#token().at,
        "end of file before the end of the block: '}' was expected",
        '}',
      );
    }
    return commands;
  }

  #skipBlock(): void {
    for (let open = 1; open > 0 && !this.#is('end'); this.#next++) {
      if (this.#is('{')) open++;
      if (this.#is('}')) open--;
    }
  }

  /** What follows a name: arguments, then a test or a list of tests. */
  #parts(name: Token, depth: number): Pick<Node, 'arguments' | 'tests' | 'testList'> {
    const found: Argument[] = [];
    for (let next = this.#argument(); next; next = this.#argument()) {
      if (found.length >= this.#limits.argumentsMax)
        this.#fail(name, `too many arguments for command '${name.text}'`, ';');
      found.push(next);
    }
    if (this.#is('identifier')) return { arguments: found, tests: [this.#test(depth)], testList: false };
    if (this.#is('(')) return { arguments: found, tests: this.#testList(depth), testList: true };
    return { arguments: found, tests: [], testList: false };
  }

  #test(depth: number): Node {
    const name = this.#token();
    this.#checkTestDepth(name, depth);
    this.#next++;
    return { name: name.text, at: name.at, ...this.#parts(name, depth + 1) };
  }

  #testList(depth: number): readonly Node[] {
    const open = this.#token();
    this.#checkTestDepth(open, depth);
    this.#next++;
    const tests: Node[] = [];
    do {
      const found = this.#token();
      if (found.type !== 'identifier') {
        const place = tests.length === 0 ? "'('" : "',' in test list";
        this.#fail(
          found,
          `expecting test identifier after ${place}, but found ${describeToken(found)}`,
          'test',
        );
      }
      tests.push(this.#test(depth));
    } while (this.#take(','));
    const close = this.#token();
    if (!this.#take(')')) {
      this.#fail(close, `expecting ',' or end of test list ')', but found ${describeToken(close)}`, ')');
    }
    return tests;
  }

  #checkTestDepth(token: Token, depth: number): void {
    if (depth < this.#limits.nestingMax) return;
    this.#fail(token, `cannot nest tests deeper than ${this.#limits.nestingMax} levels`, ';');
  }

  #argument(): Argument | undefined {
    const token = this.#token();
    switch (token.type) {
      case 'string':
        this.#next++;
        return { type: 'string', at: token.at, text: token.text };
      case 'number':
        this.#next++;
        return { type: 'number', at: token.at, number: token.number };
      case 'tag':
        this.#next++;
        return { type: 'tag', at: token.at, name: token.text };
      case '[':
        return this.#list();
      default:
        return undefined;
    }
  }

  #list(): Argument {
    const open = this.#token();
    this.#next++;
    const items: StringArgument[] = [];
    do {
      const item = this.#token();
      if (item.type !== 'string') {
        this.#fail(
          item,
          `expecting string after '[' or ',' in string list, but found ${describeToken(item)}`,
          'string',
        );
      }
      this.#next++;
      items.push({ type: 'string', at: item.at, text: item.text });
      if (items.length > this.#limits.listItemsMax)
        this.#fail(item, `a string list has more than ${this.#limits.listItemsMax} items`, ']');
    } while (this.#take(','));
    const close = this.#token();
    if (!this.#take(']')) {
      this.#fail(close, `expecting ',' or end of string list ']', but found ${describeToken(close)}`, ']');
    }
    return { type: 'list', at: open.at, items };
  }
}
