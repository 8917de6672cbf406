/** What vnd.dovecot.pipe, filter and execute share: programs of the site by plain names. Pigeonhole's spec-bosch-sieve-extprograms sections 3 and 4. */
import type { ProgramEnd } from '../environment.ts';
import { Fault } from '../fault.ts';
import type { Run } from '../run.ts';
import type { Positional } from '../spec.ts';
import { shown, textOctets } from '../text.ts';
import type { Use } from '../use.ts';

export const programPositional: readonly Positional[] = [
  { name: 'program-name', type: 'string' },
  { name: 'arguments', type: 'string-list' },
];

export interface ProgramCall {
  readonly name: string;
  readonly arguments: readonly string[];
}

/** The name, which must be constant, and the arguments as they are in the run. */
export function readProgram(use: Use): (run: Run) => ProgramCall {
  const name = use.text(0).constant;
  if (name === undefined)
    use.error(`the ${use.title} requires a constant string for its program-name argument`, use.at(0));
  else if (!isProgramName(name)) use.error(`${use.title}: invalid program name '${shown(name)}'`, use.at(0));
  const given = use.positional[1] ? use.texts(1) : undefined;
  if (given?.constant) checkArguments(use, given.constant);
  return (run) => {
    const list = given?.values(run) ?? [];
    const problem = argumentProblem(list, run.limits);
    if (problem) throw new Fault(`${use.title}: ${problem}`);
    return { name: name!, arguments: list };
  };
}

/** No path and nothing that could be read as one; 128 characters. */
function isProgramName(name: string): boolean {
  return (
    name !== '' &&
    [...name].length <= 128 &&
    name.isWellFormed() &&
    name !== '.' &&
    name !== '..' &&
    !/[\x00-\x1f/\x7f-\x9f\u2028\u2029]/.test(name)
  );
}

function checkArguments(use: Use, list: readonly string[]): void {
  const problem = argumentProblem(list, use.compiler.limits);
  if (problem) use.error(`${use.title}: ${problem}`, use.at(1));
}

function argumentProblem(
  list: readonly string[],
  limits: { readonly programArgumentsMax: number; readonly programArgumentBytesMax: number },
): string | undefined {
  if (list.length > limits.programArgumentsMax)
    return `more than ${limits.programArgumentsMax} arguments for a program`;
  for (const text of list) {
    if (textOctets(text).length > limits.programArgumentBytesMax)
      return `an argument for a program is longer than ${limits.programArgumentBytesMax} octets`;
    if (/[\0\r\n]/.test(text)) return 'an argument for a program holds a line end or NUL';
  }
  return undefined;
}

/**
 * Runs the program once in this run, however often the run is begun anew.
 * @throws Fault where the site has no such program, or the script has run as many as it may
 */
export function runProgram(run: Run, { name, arguments: list }: ProgramCall, input: Uint8Array): ProgramEnd {
  const nth = Number(run.kept.get('programs') ?? 0) + 1;
  if (nth > run.limits.programRunsMax)
    throw new Fault(`more than ${run.limits.programRunsMax} programs in one run`);
  run.kept.set('programs', nth);
  const end = run.ask(`program ${nth}`, () => run.environment.runProgram?.(name, list, input));
  if (end === undefined) throw unknownProgram(name);
  return end;
}

/** The message as it stands, in lines as programs of this system have them. */
export function messageLines(run: Run): Uint8Array {
  return Buffer.from(run.message.whole().toString('latin1').replaceAll('\r\n', '\n'), 'latin1');
}

export function unknownProgram(name: string): Fault {
  return new Fault(`program '${shown(name)}' is not among those that scripts may run`);
}
