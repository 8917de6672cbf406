/** vnd.dovecot.pipe: the message is handed to a program in place of a mailbox. Pigeonhole's spec-bosch-sieve-extprograms section 5. */
import type { ActionSpec, Extension } from '../spec.ts';
import { programPositional, readProgram, unknownProgram } from './dovecot-programs.ts';

const pipe: ActionSpec = {
  name: 'pipe',
  kind: 'command',
  tags: [{ name: 'try' }],
  positional: programPositional,
  optionalLast: 1,
  compile(use) {
    const program = readProgram(use);
    const copy = use.has('copy');
    const isTry = use.has('try');
    return (run) => {
      const call = program(run);
      const { name } = call;
      if (!run.ask(`program exists ${name}`, () => run.environment.programExists?.(name) ?? false)) {
        // Section 5: with :try it is as if the command were not there.
        if (isTry) return;
        throw unknownProgram(name);
      }
      const { edits } = run.message;
      const at = run.place;
      run.plan.add(
        {
          kind: 'pipe',
          at,
          key: `pipe ${name}`,
          finish: () => ({
            type: 'pipe',
            program: name,
            arguments: call.arguments,
            copy,
            try: isTry,
            edits,
            at,
          }),
        },
        !copy,
      );
      run.trace?.input('did', `pipe to ${name}`);
    };
  },
};

export const dovecotPipe: Extension = { name: 'vnd.dovecot.pipe', specs: [pipe] };
