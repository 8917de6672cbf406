/** Checks the tree of a script against what its commands, tests and extensions allow, and makes it runnable. */

import { comparatorsAlwaysThere } from './comparators.ts';
import type { ScriptName } from './environment.ts';
import type { SieveLimits } from './limits.ts';
import { baseMatchTypes, comparatorTag } from './match.ts';
import type { Node } from './parser.ts';
import type { Place } from './problem.ts';
import type { Offset, Problems } from './problems.ts';
import type { Compilation, CompileOptions, Program } from './program.ts';
import type { Run } from './run.ts';
import type {
  AddressPart,
  EnvelopePart,
  Extension,
  MatchType,
  Modifier,
  Spec,
  Step,
  TagSpec,
  Test,
} from './spec.ts';
import { Use } from './use.ts';

/** Everything that scripts of one compilation may require, by name. */
export type Available = ReadonlyMap<string, Extension>;

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

const addressPartGroup = 'ADDRESS-PART';
const baseAddressParts: readonly AddressPart[] = [
  { name: 'all', part: (local, domain) => (domain === '' ? local : `${local}@${domain}`) },
  { name: 'localpart', part: (local) => local },
  { name: 'domain', part: (_local, domain) => domain },
];

export class Compiler {
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
  readonly #available: Available;
  readonly #enabled = new Map<string, Extension>();
  readonly #used = new Set<string>();
  readonly #requireAt = new Map<string, Offset>();
  readonly #specs = new Map<string, { spec: Spec; extension: string | undefined }>();
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
    this.including = including;
    this.included = included;
    this.script = script;
    this.problems = problems;
    this.limits = limits;
    this.options = options;
    this.#available = available;
    for (const spec of base) this.#specs.set(specKey(spec.kind, spec.name), { spec, extension: undefined });
  }

  /** The whole script as steps. Problems have the errors. */
  compile(nodes: readonly Node[]): readonly Step[] {
    const steps = this.block(nodes);
    for (const [name, at] of this.#requireAt) {
      const extension = this.#enabled.get(name);
      if (
        extension?.silent === true ||
        this.#used.has(name) ||
        extension?.implies?.some((each) => this.#used.has(each))
      )
        continue;
      this.problems.warning(at, 'unused-require', `"${name}" is required and not used`);
    }
    return steps;
  }

  /** Depth of blocks around what is being checked; 1 at the top level. */
  get depth(): number {
    return this.#depth;
  }

  #known(name: string, kind: Spec['kind']): { spec: Spec; extension: string | undefined } | undefined {
    return this.#specs.get(specKey(kind, name));
  }

  extensionNames(): readonly string[] {
    return [...this.#available.keys()];
  }

  knows(extension: string): boolean {
    return this.#available.has(extension);
  }

  /** True for a command or test that needs no require. */
  knowsBase(name: string): boolean {
    const known = this.#known(name, 'command') ?? this.#known(name, 'test');
    return known !== undefined && known.extension === undefined;
  }

  uses(extension: string): boolean {
    return this.#enabled.has(extension);
  }

  mark(extension: string): void {
    this.#used.add(extension);
  }

  /** @param at where it is required; absent for what comes with another extension or by ihave */
  enable(name: string, at?: Offset): void {
    const extension = this.#available.get(name)!;
    if (at !== undefined && !this.#requireAt.has(name)) this.#requireAt.set(name, at);
    if (this.#enabled.has(name)) return;
    this.#enabled.set(name, extension);
    for (const spec of extension.specs ?? [])
      this.#specs.set(specKey(spec.kind, spec.name), { spec, extension: name });
    for (const implied of extension.implies ?? []) if (this.knows(implied)) this.enable(implied);
  }

  hasComparator(name: string): boolean {
    const extension = `comparator-${name}`;
    this.mark(extension);
    return comparatorsAlwaysThere.has(name) || this.uses(extension);
  }

  /** What a tag means for a command or test, undefined where it means nothing. */
  tag(spec: Spec, name: string): TagSpec | undefined {
    const own = spec.tags?.find((tag) => tag.name === name);
    if (own) return own;
    if (spec.matches && name === comparatorTag.name) return comparatorTag;
    const matchType = spec.matches ? this.#matchType(name)?.tag : undefined;
    if (matchType) return matchType;
    if (spec.addressPart && this.#addressPart(name)) return { name, group: addressPartGroup };
    for (const extension of this.#enabled.values()) {
      const tag = extension.tags?.[spec.name]?.find((each) => each.name === name);
      if (!tag) continue;
      this.mark(extension.name);
      return tag;
    }
    return undefined;
  }

  matchType(name: string): MatchType {
    return this.#matchType(name)!;
  }

  addressPart(use: Use): AddressPart {
    return this.#addressPart(use.groups.get(addressPartGroup) ?? 'all')!;
  }

  /** Modifiers of set that are there. */
  modifiers(): Modifier[] {
    return [...this.#enabled.values()].flatMap((extension) => extension.modifiers ?? []);
  }

  envelopePart(lowerName: string): EnvelopePart | undefined {
    for (const extension of this.#enabled.values()) {
      const part = extension.envelopeParts?.[lowerName];
      if (!part) continue;
      this.mark(extension.name);
      return part;
    }
    return undefined;
  }

  namespace(lowerName: string): NonNullable<Extension['namespaces']>[string] | undefined {
    for (const extension of this.#enabled.values()) {
      const namespace = extension.namespaces?.[lowerName];
      if (!namespace) continue;
      this.mark(extension.name);
      return namespace;
    }
    return undefined;
  }

  #matchType(name: string): MatchType | undefined {
    return this.#contributed(name, baseMatchTypes, 'matchTypes', (type) => type.tag.name);
  }

  #addressPart(name: string): AddressPart | undefined {
    return this.#contributed(name, baseAddressParts, 'addressParts', (part) => part.name);
  }

  #contributed<Kind extends 'matchTypes' | 'addressParts', Item extends NonNullable<Extension[Kind]>[number]>(
    name: string,
    base: readonly Item[],
    kind: Kind,
    nameOf: (item: Item) => string,
  ): Item | undefined {
    const known = base.find((item) => nameOf(item) === name);
    if (known) return known;
    for (const extension of this.#enabled.values()) {
      const found = (extension[kind] as readonly Item[] | undefined)?.find((item) => nameOf(item) === name);
      if (!found) continue;
      this.mark(extension.name);
      return found;
    }
    return undefined;
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
    const right = this.#structure(use) && bound;
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
    const right = this.#structure(use) && bound;
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
    const right = this.#structure(use) && bound;
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
    const known =
      this.#known(node.name, kind) ?? this.#known(node.name, kind === 'test' ? 'command' : 'test');
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

  /** Tests and block: there where they must be, and nowhere else. */
  #structure(use: Use): boolean {
    return this.#structureOfTests(use) && this.#structureOfBlock(use);
  }

  /** Brackets around a single test where one is expected do no harm: RFC 6558 has them in its example. */
  #structureOfTests(use: Use): boolean {
    const { node, spec } = use;
    const [first] = node.tests;
    if (!spec.tests) {
      if (!first) return true;
      if (node.testList || this.#known(first.name, 'test'))
        use.error(`the ${use.title} accepts no sub-tests, but tests are specified`);
      else if (this.tag(spec, first.name))
        use.error(`missing colon ':' before ':${first.name}' tag in ${use.title}`, first.at);
      else use.error(`missing semicolon ';' after ${use.title}`, node.at);
      return false;
    }
    const needs = spec.tests === 'one' ? 'one sub-test' : 'a list of sub-tests';
    const found = !first
      ? 'none is specified'
      : node.testList
        ? 'a list of tests is specified'
        : 'a single test is specified';
    const fits = spec.tests === 'list' ? node.testList : node.tests.length === 1;
    if (!first || !fits) {
      use.error(`the ${use.title} requires ${needs}, but ${found}`);
      return false;
    }
    return true;
  }

  #structureOfBlock(use: Use): boolean {
    const { node, spec } = use;
    if (spec.kind === 'test') return true;
    if (spec.block === true && !node.block) {
      use.error(`the ${use.title} requires a command block, but it is missing`);
      return false;
    }
    if (spec.block !== true && node.block) {
      use.error(`the ${use.title} does not accept a command block, but one is specified anyway`);
      return false;
    }
    return true;
  }
}

/** A command and a test may have one name: convert has both. */
function specKey(kind: Spec['kind'], name: string): string {
  return `${kind} ${name}`;
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
