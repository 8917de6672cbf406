/** mark and unmark, of the draft that became imap4flags: draft-melnikov-sieve-imapflags. */
import type { ActionSpec, Extension } from '../spec.ts';
import { addflag, normaliseFlags, removeflag, setflag } from './imap4flags.ts';

const flagged = '\\Flagged';

const mark: ActionSpec = {
  name: 'mark',
  kind: 'command',
  compile: () => (run) => {
    run.flags = normaliseFlags([...run.flags, flagged]);
    run.trace?.input('did', `mark ${flagged}`);
  },
};

const unmark: ActionSpec = {
  name: 'unmark',
  kind: 'command',
  compile: () => (run) => {
    run.flags = run.flags.filter((flag) => flag.toLowerCase() !== flagged.toLowerCase());
    run.trace?.input('did', `unmark ${flagged}`);
  },
};

export const imapflags: Extension = {
  name: 'imapflags',
  replacedBy: 'imap4flags',
  specs: [setflag, addflag, removeflag, mark, unmark],
};
