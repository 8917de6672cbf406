/** The header test. RFC 5228 section 5.7. */
import { chooseFields } from '../field-choice.ts';
import { headerNames } from '../header-names.ts';
import type { TestSpec } from '../spec.ts';

export const header: TestSpec = {
  name: 'header',
  kind: 'test',
  matches: true,
  positional: [
    { name: 'header names', type: 'string-list' },
    { name: 'key list', type: 'string-list' },
  ],
  compile(use) {
    const names = headerNames(use, 0);
    const match = use.match(1);
    const fields = chooseFields(use);
    return (run) => {
      const wanted = names(run);
      run.trace?.input('headers', wanted);
      return match(run, fields.values(run, wanted));
    };
  },
};
