/** The duplicate test as Pigeonhole had it before RFC 7352: `:value` in place of `:uniqueid`. */
import type { Extension } from '../spec.ts';
import { duplicateTest } from './duplicate.ts';

export const dovecotDuplicate: Extension = {
  name: 'vnd.dovecot.duplicate',
  replacedBy: 'duplicate',
  specs: [duplicateTest('value')],
};
