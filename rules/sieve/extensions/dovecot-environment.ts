/** vnd.dovecot.environment: more items, and all of them as variables `${env.name}`. */
import type { Run } from '../run.ts';
import type { Extension } from '../spec.ts';
import { environmentItem } from './environment.ts';

/** Names of variables have no dash: `default_mailbox` stands for `default-mailbox`. */
function itemNamed(run: Run, name: string): string | undefined {
  return environmentItem(run, name) ?? environmentItem(run, name.replaceAll('_', '-'));
}

export const dovecotEnvironment: Extension = {
  name: 'vnd.dovecot.environment',
  implies: ['environment'],
  namespaces: {
    env: (_compiler, names) => ({ get: (run) => itemNamed(run, names.join('.')) ?? '' }),
  },
};
