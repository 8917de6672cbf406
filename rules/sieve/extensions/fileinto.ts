/** The fileinto command. RFC 5228 section 4.1. */
import { inboxKey } from '../base/actions.ts';
import type { Entry } from '../plan.ts';
import type { ActionSpec, Extension } from '../spec.ts';
import { flagsOption, folderName, targetOption } from '../store-options.ts';

const fileintoCommand: ActionSpec = {
  name: 'fileinto',
  kind: 'command',
  positional: [{ name: 'folder', type: 'string' }],
  compile(use) {
    const folder = folderName(use, use.text(0), use.at(0));
    const flags = flagsOption(use);
    const target = targetOption(use);
    const copy = use.has('copy');
    return (run) => {
      const mailbox = folder(run);
      const chosen = flags(run);
      const options = target(run);
      const { edits } = run.message;
      const at = run.place;
      const entry: Entry = {
        kind: 'store',
        at,
        key:
          mailbox.toUpperCase() === 'INBOX'
            ? inboxKey
            : `store ${mailbox} ${options.mailboxId ?? ''} ${options.specialUse ?? ''}`,
        finish: () => ({ type: 'fileinto', mailbox, copy, flags: chosen, edits, at, ...options }),
      };
      run.plan.add(entry, !copy);
      run.trace?.input('did', `fileinto "${mailbox}"`);
    };
  },
};

export const fileinto: Extension = { name: 'fileinto', specs: [fileintoCommand] };
