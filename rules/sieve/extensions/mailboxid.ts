/** mailboxidexists and `:mailboxid`. RFC 9042. */
import type { Extension, TagSpec, TestSpec } from '../spec.ts';

const mailboxidexists: TestSpec = {
  name: 'mailboxidexists',
  kind: 'test',
  positional: [{ name: 'mailbox-objectids', type: 'string-list' }],
  compile(use) {
    const ids = use.texts(0);
    return (run) =>
      ids
        .values(run)
        .every((id) => run.ask(`mailboxid ${id}`, () => run.environment.mailboxIdExists?.(id) ?? false));
  },
};

const mailboxidTag: TagSpec = { name: 'mailboxid', parameter: 'string' };

export const mailboxid: Extension = {
  name: 'mailboxid',
  specs: [mailboxidexists],
  tags: { fileinto: [mailboxidTag] },
};
export const mailboxidTags: readonly TagSpec[] = [mailboxidTag];
