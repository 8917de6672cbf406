/** Tests whether extensions are there, and fails on purpose. RFC 5463. */
import { Fault } from '../fault.ts';
import type { ActionSpec, Extension, TestSpec } from '../spec.ts';

/** Known before the run: what stands behind a test that fails is not checked. RFC 5463 section 4. */
const ihaveTest: TestSpec = {
  name: 'ihave',
  kind: 'test',
  positional: [{ name: 'capabilities', type: 'string-list' }],
  compile(use) {
    const names = use.texts(0).constant;
    if (!names) {
      use.error('the ihave test requires constant strings', use.at(0));
      return () => false;
    }
    const known = names.every((name) => use.compiler.knows(name));
    if (known) for (const name of names) use.compiler.enable(name);
    use.constant = known;
    return () => known;
  },
};

const error: ActionSpec = {
  name: 'error',
  kind: 'command',
  ends: true,
  positional: [{ name: 'message', type: 'string' }],
  compile(use) {
    const message = use.text(0);
    return (run) => {
      throw new Fault(`failed with error: ${message.value(run)}`);
    };
  },
};

export const ihave: Extension = { name: 'ihave', specs: [ihaveTest, error] };
