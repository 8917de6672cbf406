/** Compiles a script: source to checked program. RFC 5228. */
import { type CompileIncluded, Compiler } from './compiler.ts';
import { defaultSieveLimits, type SieveLimits } from './limits.ts';
import { parse } from './parser.ts';
import type { Problem } from './problem.ts';
import { Problems, TooManyProblems } from './problems.ts';
import type { Compilation, CompileOptions } from './program.ts';
import { availableExtensions, baseSpecs } from './registry.ts';
import { Script } from './script.ts';
import type { Extension } from './spec.ts';
import { octetsText, textOctets } from './text.ts';

/**
 * Source to checked program, or everything that is wrong with it. Never throws for what is wrong in a script.
 * @param source UTF-8
 */
export function compileSieve(source: string | Uint8Array, options: CompileOptions = {}): Compilation {
  return compileScript(source, options, [], []);
}

/** With extensions that users' scripts have not. */
export function compileWith(
  source: string | Uint8Array,
  options: CompileOptions,
  more: readonly Extension[],
): Compilation {
  return compileScript(source, options, [], more);
}

function compileScript(
  source: string | Uint8Array,
  options: CompileOptions,
  including: readonly string[],
  more: readonly Extension[],
): Compilation {
  const limits: SieveLimits = { ...defaultSieveLimits, ...options.limits };
  const bytes = typeof source === 'string' ? textOctets(source).length : source.length;
  if (bytes > limits.scriptBytesMax) return tooLarge(limits.scriptBytesMax);
  const text = (typeof source === 'string' ? source : octetsText(source)).replace(/^\ufeff/, '');
  const problems = new Problems(text, limits.problemsMax);
  const compiler = new Compiler(
    options.name ?? 'script',
    problems,
    availableExtensions(options.extensions, more),
    baseSpecs,
    limits,
    options,
    including,
    includedBy(options),
  );
  const steps = collecting(() => {
    const nodes = parse(text, problems, limits);
    return problems.errors.length > 0 ? [] : compiler.compile(nodes);
  });
  const errors = problems.errors.toSorted(byPlace);
  const warnings = problems.warnings.toSorted(byPlace);
  const [first, ...others] = errors;
  if (first) return { errors: [first, ...others], warnings };
  const { script: name, requires, includes, needsBody } = compiler;
  return { program: new Script({ name, requires, includes, needsBody }, steps ?? []), errors: [], warnings };
}

/** Included scripts may require what the script may; in a run each is compiled once. */
function includedBy(options: CompileOptions): CompileIncluded {
  const compiled = new Map<string, Compilation>();
  return (source, { location, name }, including) => {
    if (including) return compileScript(source, { ...options, name }, including, []);
    const { script: _checkedAlready, ...others } = options;
    const key = `${location} ${name} ${typeof source === 'string' ? source : octetsText(source)}`;
    let found = compiled.get(key);
    if (!found) {
      found = compileScript(source, { ...others, name }, [], []);
      if (compiled.size < includedMax) compiled.set(key, found);
    }
    return found;
  };
}

const includedMax = 100;

/** Undefined where there were so many errors that nobody would read on. */
function collecting<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof TooManyProblems) return undefined;
    throw error;
  }
}

function tooLarge(bytesMax: number): Compilation {
  const message = `the script is larger than ${bytesMax} octets`;
  return { errors: [{ severity: 'error', line: 1, column: 1, message }], warnings: [] };
}

function byPlace(left: Problem, right: Problem): number {
  if (left.script !== right.script) return left.script === undefined ? -1 : 1;
  return left.line - right.line || left.column - right.column;
}
