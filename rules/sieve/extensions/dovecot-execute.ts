/** vnd.dovecot.execute: a program is asked; its output can become a variable. Pigeonhole's spec-bosch-sieve-extprograms sections 7 and 8. */
import type { Run } from '../run.ts';
import type { Extension, Step, TagSpec } from '../spec.ts';
import { cutToOctets, octetsText, textOctets } from '../text.ts';
import type { Use } from '../use.ts';
import { messageLines, programPositional, readProgram, runProgram } from './dovecot-programs.ts';
import { assignableText, type Variable } from './variables.ts';

const inputGroup = 'input';
const tags: readonly TagSpec[] = [
  { name: 'input', parameter: 'string', group: inputGroup },
  { name: 'pipe', group: inputGroup },
  { name: 'output', parameter: 'string' },
];
const nothing = new Uint8Array(0);

/** True where the program ended well; only then its output is taken. */
function execution(use: Use): (run: Run) => boolean {
  const program = readProgram(use);
  const input = inputOption(use);
  const target = outputOption(use);
  return (run) => {
    const call = program(run);
    const end = runProgram(run, call, input(run));
    run.trace?.input('did', `${call.name} ${end.ok ? 'ended well' : 'failed'}`);
    if (!end.ok) return false;
    target?.set?.(run, cutToOctets(octetsText(end.output), run.limits.variableBytesMax));
    return true;
  };
}

function inputOption(use: Use): (run: Run) => Uint8Array {
  if (use.has('pipe')) {
    use.compiler.needsBody = true;
    return messageLines;
  }
  const text = use.tagText('input');
  return text ? (run) => textOctets(text.value(run)) : () => nothing;
}

function outputOption(use: Use): Variable | undefined {
  const argument = use.tags.get('output');
  if (argument?.type !== 'string') return undefined;
  if (use.compiler.uses('variables')) return assignableText(use, argument.text, argument.at);
  use.error('the :output tag of the execute command requires the variables extension', argument.at);
  return undefined;
}

const shape = { name: 'execute', tags, positional: programPositional, optionalLast: 1 } as const;

export const dovecotExecute: Extension = {
  name: 'vnd.dovecot.execute',
  specs: [
    {
      ...shape,
      kind: 'command',
      compile(use): Step {
        const execute = execution(use);
        return (run) => void execute(run);
      },
    },
    { ...shape, kind: 'test', compile: execution },
  ],
};
