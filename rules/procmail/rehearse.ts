/** Runs an rcfile without doing anything: folders take what they are given, programs are not run. What it would have done. */
import { type RunInput, type RunResult, runProcmail } from './run.ts';
import type { Step, StepOutcome } from './steps.ts';

export interface Rehearsal extends RunResult {
  /** In order; what is only asked for (locks, the umask, logs) is left out. */
  readonly deeds: readonly Deed[];
}

export interface Deed {
  readonly line: number;
  readonly kind:
    | 'store'
    | 'forward'
    | 'program'
    | 'filter'
    | 'capture'
    | 'print'
    | 'condition'
    | 'backquotes';
  /** The folder, the recipients, the program. */
  readonly text: string;
  /** Of a store: each folder, and MAILDIR, which they are relative to. */
  readonly folders?: readonly string[];
  readonly directory?: string;
}

/** How a program ends in the rehearsal; undefined: as said below. */
export type Answer = (
  step: Extract<Step, { type: 'program' | 'test' | 'output' }>,
) => StepOutcome | undefined;

/**
 * @param read the text of an rcfile, an octet a character; undefined where there is none
 * Programs of conditions count as failed, filters leave the mail as it is, backquotes give nothing.
 */
export function rehearseProcmail(
  input: RunInput,
  read: (path: string) => string | undefined,
  answer: Answer = () => undefined,
): Rehearsal {
  const deeds: Deed[] = [];
  const running = runProcmail(input);
  let step = running.next();
  while (!step.done) {
    const deed = deedOf(step.value);
    if (deed !== undefined) deeds.push(deed);
    step = running.next(outcomeOf(step.value, read, answer));
  }
  return { ...step.value, deeds };
}

function outcomeOf(step: Step, read: (path: string) => string | undefined, answer: Answer): StepOutcome {
  if (step.type === 'program' || step.type === 'test' || step.type === 'output') {
    const known = answer(step);
    if (known !== undefined) return known;
  }
  if (step.type === 'test') return { ok: true, exitCode: 1 };
  if (step.type === 'store') return { ok: true, name: step.folders.join(' '), length: step.input.length };
  if (step.type !== 'read') return { ok: true, exitCode: 0 };
  const source = read(step.path);
  return source === undefined ? { ok: false } : { ok: true, source };
}

function deedOf(step: Step): Deed | undefined {
  switch (step.type) {
    case 'store':
      return {
        ...{ line: step.line, kind: 'store', text: step.folders.join(' '), folders: step.folders },
        directory: step.environment.MAILDIR ?? '/',
      };
    case 'forward':
      return { line: step.line, kind: 'forward', text: step.recipients.join(' ') };
    case 'program': {
      const kinds = { none: 'program', filter: 'filter', variable: 'capture' } as const;
      return { line: step.line, kind: kinds[step.output], text: nameOf(step.command) };
    }
    case 'test':
      return { line: step.line, kind: 'condition', text: nameOf(step.command) };
    case 'output':
      return { line: step.line, kind: 'backquotes', text: nameOf(step.command) };
    case 'print':
      return { line: step.line, kind: 'print', text: 'standard output' };
    default:
      return undefined;
  }
}

function nameOf(command: Extract<Step, { type: 'test' }>['command']): string {
  return command.kind === 'shell' ? command.line : command.argv.join(' ');
}
