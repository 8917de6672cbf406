/** The environment test. RFC 5183; items of imapsieve (RFC 6785 section 4) and vnd.dovecot.environment. */
import type { Run } from '../run.ts';
import type { Extension, TestSpec } from '../spec.ts';
import { Values } from '../values.ts';

/** What is known without asking; anything else is the environment's. RFC 5183 section 4.1. */
const own: Readonly<Record<string, string>> = { name: 'mailfilter', version: '0.1.0' };

export function environmentItem(run: Run, name: string): string | undefined {
  const lower = name.toLowerCase();
  return run.environment.item?.(lower) ?? (Object.hasOwn(own, lower) ? own[lower] : undefined);
}

const environmentTest: TestSpec = {
  name: 'environment',
  kind: 'test',
  matches: true,
  positional: [
    { name: 'name', type: 'string' },
    { name: 'key list', type: 'string-list' },
  ],
  compile(use) {
    const name = use.text(0);
    const match = use.match(1);
    return (run) => {
      const item = environmentItem(run, name.value(run));
      run.trace?.input('item', name.value(run));
      // RFC 5183 section 4: an item that is not known makes the test fail.
      return item !== undefined && match(run, new Values([item]));
    };
  },
};

export const environment: Extension = { name: 'environment', specs: [environmentTest] };
