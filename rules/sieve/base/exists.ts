/** The exists test. RFC 5228 section 5.5. */
import { chooseFields } from '../field-choice.ts';
import { headerNames, isHeaderName } from '../header-names.ts';
import type { TestSpec } from '../spec.ts';

export const exists: TestSpec = {
  name: 'exists',
  kind: 'test',
  positional: [{ name: 'header names', type: 'string-list' }],
  compile(use) {
    const names = headerNames(use, 0);
    const all = use.texts(0);
    const fields = chooseFields(use);
    return (run) => {
      const wanted = names(run);
      run.trace?.input('headers', wanted);
      return (
        wanted.every((name) => fields.rawValues(run, name).length > 0) && all.values(run).every(isHeaderName)
      );
    };
  },
};
