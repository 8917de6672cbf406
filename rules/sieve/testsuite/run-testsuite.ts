/** Runs a test script in Pigeonhole's language: each test by its name, passed or why not. */
import { compileWith } from '../compile.ts';
import { Fault } from '../fault.ts';
import type { Problem } from '../problem.ts';
import { runScript } from '../run-sieve.ts';
import type { Script } from '../script.ts';
import { testsuiteExtension } from './commands.ts';
import { type ReadFile, Suite, type TestResult } from './suite.ts';

export interface TestReport {
  readonly tests: readonly TestResult[];
  /** What is wrong in the test script itself; then no test was run. */
  readonly problems: readonly Problem[];
  /** What ended the script between its tests. */
  readonly failure?: string;
}

export interface TestOptions {
  readonly name?: string;
  /** Epoch milliseconds that the scripts see. */
  readonly now: number;
  /** Files that the script names, relative to its own folder. */
  readonly readFile: ReadFile;
}

/** Never throws for what is wrong in scripts. */
export function runTestsuite(source: string | Uint8Array, options: TestOptions): TestReport {
  const compiled = compileWith(source, { name: options.name ?? 'test' }, [testsuiteExtension]);
  if (!compiled.program) return { tests: [], problems: compiled.errors };
  const suite = new Suite(options.readFile, options.now);
  try {
    runScript(suite.main, compiled.program as Script);
    return { tests: suite.results, problems: [] };
  } catch (reason) {
    if (!(reason instanceof Fault)) throw reason;
    const failure = `line ${suite.main.place.line}: ${reason.message}`;
    return { tests: suite.results, problems: [], failure };
  }
}
