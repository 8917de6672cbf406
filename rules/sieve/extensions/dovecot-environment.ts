/** vnd.dovecot.environment: more items, and all of them as variables `${env.name}`. */
import type { Extension } from '../spec.ts';
import { environmentItem } from './environment.ts';

export const dovecotEnvironment: Extension = {
  name: 'vnd.dovecot.environment',
  implies: ['environment'],
  namespaces: {
    env: (_compiler, names) => ({ get: (run) => environmentItem(run, names.join('.')) ?? '' }),
  },
};
