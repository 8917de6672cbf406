/** One use of a command or test in a script: what its specification asks while it is compiled. */
import { bindArguments } from './arguments.ts';
import type { Compiler } from './compiler.ts';
import { compileMatch, type Matcher } from './match.ts';
import type { Argument, Node, StringArgument } from './parser.ts';
import type { Offset } from './problems.ts';
import type { Spec, Step, Test } from './spec.ts';
import { compileText, compileTexts, type Text, type Texts } from './strings.ts';

export class Use {
  readonly compiler: Compiler;
  readonly node: Node;
  readonly spec: Spec;
  /** `header test`, as errors name it. */
  readonly title: string;
  /** Tags given, with their parameter. */
  readonly tags = new Map<string, Argument | undefined>();
  /** Which tag of a group was given. */
  readonly groups = new Map<string, string>();
  /** Filled with undefined where optional ones are left out. */
  positional: readonly (Argument | undefined)[] = [];
  /** Tests within. */
  tests: readonly Test[] = [];
  block: readonly Step[] = [];
  failed = false;
  /** Matches set `${1}` and its like. */
  captures = true;
  /** Of a test whose outcome is known before the run. RFC 5463. */
  constant: boolean | undefined;

  constructor(compiler: Compiler, node: Node, spec: Spec) {
    this.compiler = compiler;
    this.node = node;
    this.spec = spec;
    this.title = `${spec.name} ${spec.kind}`;
  }

  bind(): boolean {
    return bindArguments(this);
  }

  error(message: string, at: Offset = this.node.at): void {
    this.failed = true;
    this.compiler.problems.error(at, message);
  }

  has(tag: string): boolean {
    return this.tags.has(tag);
  }

  /** The positional argument of that index as text; it must be a string. */
  text(index: number): Text {
    return compileText(this.compiler, this.positional[index] as StringArgument);
  }

  texts(index: number): Texts {
    return compileTexts(this.compiler, this.positional[index]!);
  }

  number(index: number): number {
    return (this.positional[index] as Extract<Argument, { type: 'number' }>).number;
  }

  tagText(tag: string): Text | undefined {
    const argument = this.tags.get(tag);
    return argument?.type === 'string' ? compileText(this.compiler, argument) : undefined;
  }

  tagTexts(tag: string): Texts | undefined {
    const argument = this.tags.get(tag);
    return argument ? compileTexts(this.compiler, argument) : undefined;
  }

  tagNumber(tag: string): number | undefined {
    const argument = this.tags.get(tag);
    return argument?.type === 'number' ? argument.number : undefined;
  }

  /** Where a positional argument stands, for errors. */
  at(index: number): Offset {
    return this.positional[index]?.at ?? this.node.at;
  }

  tagAt(tag: string): Offset {
    return this.tags.get(tag)?.at ?? this.node.at;
  }

  /** By the comparator and match type that are given, against the keys at that index. */
  match(keys: number, texts: Texts = this.texts(keys)): Matcher {
    return compileMatch(this, texts, this.at(keys));
  }
}
