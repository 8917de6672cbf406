/** Errors and warnings of a script, each with its place. RFC 5228 section 2.10.6. */

/** Where something stands in a script: lines and columns (characters) begin at 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** What a warning is about, for editors that sort or silence them. */
export type WarningCode =
  | 'unreachable'
  | 'unused-require'
  | 'unknown-folder'
  | 'invalid-header-name'
  | 'always-true'
  | 'always-false'
  | 'no-effect'
  | 'deprecated'
  | 'include-missing';

export interface Problem extends Place {
  readonly severity: 'error' | 'warning';
  /** One sentence: what is wrong and, where that is not plain, what was expected. */
  readonly message: string;
  /** What could have stood there: `;`, `string list`, a name. */
  readonly expected?: string;
  /** Warnings only. */
  readonly code?: WarningCode;
  /** Name of the script, where it is not the one that was compiled (an included script). */
  readonly script?: string;
}

/** `line 3, column 7: ...`, as editors and people read it. */
export function formatProblem(problem: Problem, script?: string): string {
  const name = problem.script ?? script;
  const where = `line ${problem.line}, column ${problem.column}`;
  return `${name === undefined ? '' : `${name}: `}${where}: ${problem.severity}: ${problem.message}`;
}
