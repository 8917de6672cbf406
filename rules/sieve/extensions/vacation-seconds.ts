/** `:seconds` of vacation. RFC 6131. */
import type { Extension } from '../spec.ts';

export const vacationSeconds: Extension = {
  name: 'vacation-seconds',
  implies: ['vacation'],
  tags: { vacation: [{ name: 'seconds', parameter: 'number', group: 'period' }] },
};
