/** `mailfilter/sieve`: compile Sieve scripts, run them, get actions. RFC 5228; a library without I/O. */
export type * from './actions.ts';
export { compileSieve } from './compile.ts';
export type * from './environment.ts';
export { defaultSieveLimits, type SieveLimits } from './limits.ts';
export type * from './outcome.ts';
export { formatProblem, type Place, type Problem, type WarningCode } from './problem.ts';
export type * from './program.ts';
export { programExtensions, sieveExtensions } from './registry.ts';
export { runSieve } from './run-sieve.ts';
export type * from './run-types.ts';
export { createScriptCache, type ScriptCache } from './script-cache.ts';
export { runTestsuite, type TestOptions, type TestReport } from './testsuite/run-testsuite.ts';
export type { TestResult } from './testsuite/suite.ts';
