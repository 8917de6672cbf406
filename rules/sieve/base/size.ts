/** The size test. RFC 5228 section 5.9. */
import type { TestSpec } from '../spec.ts';

const group = "exactly ':under' or ':over'";

export const size: TestSpec = {
  name: 'size',
  kind: 'test',
  tags: [
    { name: 'over', group },
    { name: 'under', group },
  ],
  positional: [{ name: 'limit', type: 'number' }],
  compile(use) {
    const over = use.has('over');
    if (!over && !use.has('under')) {
      use.error('the size test requires either the :under or the :over tag to be specified');
      return () => false;
    }
    const limit = use.number(0);
    if (!over && limit === 0)
      use.compiler.problems.warning(use.at(0), 'always-false', 'no message is smaller than 0 octets');
    return (run) => {
      run.trace?.input('octets', run.sizeBytes);
      return over ? run.sizeBytes > limit : run.sizeBytes < limit;
    };
  },
};
