/** Checks the tree of a script against what its commands, tests and extensions allow, and makes it runnable. */

import type { ScriptName } from './environment.ts';
import type { SieveLimits } from './limits.ts';
import type { Node } from './parser.ts';
import type { Place } from './problem.ts';
import type { Offset, Problems } from './problems.ts';
import type { Compilation, CompileOptions, Program } from './program.ts';
import type { Run } from './run.ts';
import type { Spec, Step, Test } from './spec.ts';
import { checkStructure } from './structure.ts';
import { Use } from './use.ts';
import { type Available, Vocabulary } from './vocabulary.ts';

/** Compiles a script that another one includes; `including` tells circles, and is absent in a run, which has its own. */
export type CompileIncluded = (
  source: string | Uint8Array,
  name: ScriptName,
  including: readonly string[] | undefined,
) => Compilation;

export interface Branch {
  /** Absent for `else`. */
  readonly test?: Test;
  readonly block: readonly Step[];
}

/** Where in which script something runs. */
export interface RunPlace extends Place {
  readonly script: string;
}

export class Compiler extends Vocabulary {
  readonly problems: Problems;
  readonly limits: SieveLimits;
  readonly options: CompileOptions;
  readonly script: string;
  /** In the order of the script. */
  readonly requires: string[] = [];
  readonly includes: Program['includes'][number][] = [];
  /** Slots of the script's own variables. */
  readonly variables = new Map<string, number>();
  readonly globals = new Set<string>();
  /** Names of the loops around what is being checked; undefined for one without a name. RFC 5703 section 3. */
  readonly loops: (string | undefined)[] = [];
  /** Scripts that include this one, outermost first, by location and name. */
  readonly including: readonly string[];
  readonly included: CompileIncluded;
  needsBody = false;
  /** False once a command other than require was met. */
  mayRequire = true;
  /** False once a command other than require, import and export was met. */
  mayImport = true;
  readonly #lists = new Map<string, readonly string[]>();
  #depth = 0;

  constructor(
    script: string,
    problems: Problems,
    available: Available,
    base: readonly Spec[],
    limits: SieveLimits,
    options: CompileOptions,
    including: readonly string[],
    included: CompileIncluded,
  ) {
    super(available, base);
    this.including = including;
    this.included = included;
    this.script = script;
    this.problems = problems;
    this.limits = limits;
    this.options = options;
  }

  /** The whole script as steps. Problems have the errors. */
  compile(nodes: readonly Node[]): readonly Step[] {
    const steps = this.block(nodes);
    for (const [name, at] of this.unusedRequires())
      this.problems.warning(at, 'unused-require', `"${name}" is required and not used`);
    return steps;
  }

  /** Depth of blocks around what is being checked; 1 at the top level. */
  get depth(): number {
    return this.#depth;
  }

  /** One list for all that are equal: what a run finds by a list it finds once. Names of header fields, which hold no colon. */
  shared(names: readonly string[]): readonly string[] {
    const key = names.join(':');
    const known = this.#lists.get(key) ?? names;
    this.#lists.set(key, known);
    return known;
  }

  place(at: Offset): RunPlace {
    return { ...this.problems.place(at), script: this.script };
  }

  /** Commands in turn; if, elsif and else together are one step. */
  block(nodes: readonly Node[]): readonly Step[] {
    const steps: Step[] = [];
    let branches: Branch[] | undefined;
    /** A branch before was taken for sure: what follows is not looked at. */
    let decided = false;
    let ended = false;
    this.#depth++;
    for (const node of nodes) {
      if (ended) this.problems.warning(node.at, 'unreachable', `${node.name} is never reached`);
      ended = false;
      if (node.name !== 'require' || this.#depth > 1) this.mayRequire = false;
      if (!/^(?:require|import|export)$/.test(node.name) || this.#depth > 1) this.mayImport = false;
      const follows = node.name === 'elsif' || node.name === 'else';
      if (follows && !branches) {
        this.problems.error(node.at, `the ${node.name} command must follow an if or elseif command`);
      }
      if (node.name === 'if' || (follows && !branches)) {
        branches = [];
        decided = false;
        if (node.name === 'if') steps.push(branchStep(branches));
        else if (node.name === 'elsif') decided = true;
      }
      if (node.name === 'if' || follows) {
        decided = this.#branch(node, branches!, decided) || decided;
        if (node.name === 'else') branches = undefined;
        continue;
      }
      branches = undefined;
      const use = this.#command(node);
      if (use?.step) steps.push(use.step);
      ended = use?.ends === true;
    }
    this.#depth--;
    return steps;
  }

  /** One of if, elsif, else; true where its test holds for sure. */
  #branch(node: Node, branches: Branch[], decided: boolean): boolean {
    const use = this.#use(node, 'command');
    if (!use) return false;
    const bound = use.bind();
    const right = checkStructure(use) && bound;
    if (decided) return true;
    const [inner] = use.spec.tests === 'one' && node.tests.length === 1 ? node.tests : [];
    const checked = inner ? this.test(inner) : undefined;
    if (checked?.constant === false) {
      this.problems.warning(node.at, 'always-false', `the test of this ${node.name} never holds`);
      return false;
    }
    const block = this.block(node.block ?? []);
    if (right && (!inner || checked)) branches.push({ ...(checked && { test: checked.test }), block });
    return node.name !== 'else' && checked?.constant === true;
  }

  #command(node: Node): { step?: Step; ends: boolean } | undefined {
    const use = this.#use(node, 'command');
    if (!use) {
      if (node.block) this.block(node.block);
      return undefined;
    }
    const bound = use.bind();
    const right = checkStructure(use) && bound;
    const spec = use.spec as Extract<Spec, { kind: 'command' }>;
    if (spec.tests) use.tests = this.#tests(use);
    // A command with a block compiles it itself: what stands in it may have to know of the command.
    if (right) return { step: this.#traced(use, spec.compile(use)), ends: spec.ends === true };
    if (node.block && spec.block === true) this.block(node.block);
    return { ends: false };
  }

  /** A test as it runs; undefined where something in it is wrong. `constant` where its outcome is known. */
  test(node: Node): { test: Test; constant: boolean | undefined } | undefined {
    const use = this.#use(node, 'test');
    if (!use) return undefined;
    const bound = use.bind();
    const right = checkStructure(use) && bound;
    if (use.spec.tests) use.tests = this.#tests(use);
    if (!right || use.failed) return undefined;
    const compiled = (use.spec as Extract<Spec, { kind: 'test' }>).compile(use);
    if (use.failed) return undefined;
    const place = this.place(node.at);
    const test: Test = (run) => {
      run.enter(place);
      const holds = compiled(run);
      run.trace?.test(place, use.spec.name, holds);
      return holds;
    };
    return { test, constant: use.constant };
  }

  /** The tests within a test or command. What follows one that decides for sure is not looked at. RFC 5463 section 4. */
  #tests(use: Use): readonly Test[] {
    if (use.spec.tests === 'one' ? use.node.tests.length > 1 : !use.node.testList) return [];
    const tests: Test[] = [];
    const constants: (boolean | undefined)[] = [];
    for (const node of use.node.tests) {
      const checked = this.test(node);
      if (checked) tests.push(checked.test);
      else use.failed = true;
      constants.push(checked?.constant);
      const decides = use.spec.name === 'allof' ? false : use.spec.name === 'anyof' ? true : undefined;
      if (decides !== undefined && checked?.constant === decides) {
        use.constant = decides;
        break;
      }
    }
    if (use.spec.name === 'not' && constants[0] !== undefined) use.constant = !constants[0];
    if (use.constant === undefined && constants.length > 0 && constants.every((each) => each !== undefined)) {
      use.constant = use.spec.name === 'allof';
    }
    return tests;
  }

  #traced(use: Use, step: Step): Step {
    const place = this.place(use.node.at);
    const { name } = use.spec;
    return (run: Run) => {
      run.enter(place);
      step(run);
      run.trace?.command(place, name);
    };
  }

  #use(node: Node, kind: 'command' | 'test'): Use | undefined {
    const known = this.known(node.name, kind) ?? this.known(node.name, kind === 'test' ? 'command' : 'test');
    if (!known) {
      this.problems.errorOnce(
        `${kind} ${node.name}`,
        node.at,
        `unknown ${kind} '${node.name}' (only reported once at first occurrence)`,
      );
      return undefined;
    }
    if (known.extension !== undefined) this.mark(known.extension);
    if (known.spec.kind === kind) return new Use(this, node, known.spec);
    this.problems.error(node.at, `attempted to use ${known.spec.kind} '${node.name}' as ${kind}`);
    return undefined;
  }
}

function branchStep(branches: readonly Branch[]): Step {
  return (run) => {
    for (const { test, block } of branches) {
      if (test && !test(run)) continue;
      runBlock(run, block);
      return;
    }
  };
}

/** Steps in turn until one of them ends the block. */
export function runBlock(run: Run, steps: readonly Step[]): void {
  for (const step of steps) {
    step(run);
    if (run.exit !== undefined) return;
  }
}
