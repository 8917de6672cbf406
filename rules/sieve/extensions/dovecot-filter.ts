/** vnd.dovecot.filter: a program takes the message and writes the one that goes on. Pigeonhole's spec-bosch-sieve-extprograms sections 6 and 8. */
import type { Run } from '../run.ts';
import type { Extension, Step } from '../spec.ts';
import type { Use } from '../use.ts';
import { messageLines, programPositional, readProgram, runProgram } from './dovecot-programs.ts';

/** True where the message was replaced; a program that fails, or writes nothing, leaves it as it is. */
function filtering(use: Use): (run: Run) => boolean {
  use.compiler.needsBody = true;
  const program = readProgram(use);
  return (run) => {
    const call = program(run);
    const end = runProgram(run, call, messageLines(run));
    const done = end.ok && end.output.length > 0;
    run.trace?.input('did', `${done ? 'filtered' : 'not filtered'} by ${call.name}`);
    if (!done) return false;
    run.edit(run.message.withOctets(Buffer.from(end.output)));
    run.refreshLoops();
    return true;
  };
}

const shape = { name: 'filter', positional: programPositional, optionalLast: 1 } as const;

export const dovecotFilter: Extension = {
  name: 'vnd.dovecot.filter',
  specs: [
    {
      ...shape,
      kind: 'command',
      compile(use): Step {
        const filter = filtering(use);
        return (run) => void filter(run);
      },
    },
    { ...shape, kind: 'test', compile: filtering },
  ],
};
