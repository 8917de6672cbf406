/** A checked script, and what compiling one takes and gives. */
import type { ScriptName } from './environment.ts';
import type { SieveLimits } from './limits.ts';
import type { Problem } from './problem.ts';

export interface CompileOptions {
  /** Name of the script in problems, traces and actions; default `script`. */
  readonly name?: string;
  /** Extensions that scripts may require; all that the library has, the test suite's aside, when absent. */
  readonly extensions?: readonly string[];
  readonly limits?: Partial<SieveLimits>;
  /**
   * Refuse what RFC 5228 forbids and what does no harm: a require behind other commands (section 3.2), a comparator that
   * is not required (2.7.3), a redirect to a local part alone (2.4.2.3). Otherwise these are warnings.
   */
  readonly strict?: boolean;
  /** Folders of the user: warnings for fileinto into others, and for wrong case. */
  readonly folders?: readonly string[];
  /**
   * Sources of scripts that this one includes: checked with it, and looked at for circles. Without it they are looked
   * for in the run. Undefined for a script that does not exist.
   */
  script?(name: ScriptName): string | Uint8Array | undefined;
}

/** A script that compiled. Opaque but for what it says of itself; it holds no state and may run many times at once. */
export interface Program {
  readonly name: string;
  /** What the script requires, in the order of the script. */
  readonly requires: readonly string[];
  /** Scripts it includes, `:optional` ones too. */
  readonly includes: readonly (ScriptName & { readonly optional: boolean })[];
  /** True where some test or action looks past the header, so that the whole message is wanted. */
  readonly needsBody: boolean;
}

/** Problems come in the order of the script; `errors` holds all that were found, not only the first. */
export type Compilation =
  | { readonly program: Program; readonly errors: readonly []; readonly warnings: readonly Problem[] }
  | {
      readonly program?: undefined;
      readonly errors: readonly [Problem, ...Problem[]];
      readonly warnings: readonly Problem[];
    };
