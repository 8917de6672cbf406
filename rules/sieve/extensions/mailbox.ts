/** mailboxexists and `:create`. RFC 5490 section 3. */
import type { Extension, TestSpec } from '../spec.ts';
import { hasBadOctets, shown } from '../text.ts';

const mailboxexists: TestSpec = {
  name: 'mailboxexists',
  kind: 'test',
  positional: [{ name: 'mailbox-names', type: 'string-list' }],
  compile(use) {
    const names = use.texts(0);
    for (const name of names.constant ?? []) {
      if (hasBadOctets(name))
        use.compiler.problems.warning(
          use.at(0),
          'unknown-folder',
          `mailboxexists test: invalid mailbox name \`${shown(name)}' specified: invalid utf-8`,
        );
    }
    return (run) => {
      const wanted = names.values(run);
      run.trace?.input('mailboxes', wanted);
      return wanted.every((name) => {
        if (hasBadOctets(name)) return false;
        return run.ask(`mailbox ${name}`, () => run.environment.mailboxExists?.(name) ?? false);
      });
    };
  },
};

export const mailbox: Extension = {
  name: 'mailbox',
  specs: [mailboxexists],
  tags: { fileinto: [{ name: 'create' }] },
};
