/** Envelope parts of DSN requests. RFC 6009 section 2. */
import type { Extension } from '../spec.ts';

export const envelopeDsn: Extension = {
  name: 'envelope-dsn',
  envelopeParts: {
    notify: { isAddress: false, values: ({ environment }) => environment.envelope.notify ?? [] },
    orcpt: { isAddress: false, values: ({ environment }) => [environment.envelope.orcpt] },
    ret: { isAddress: false, values: ({ environment }) => [environment.envelope.ret] },
    envid: { isAddress: false, values: ({ environment }) => [environment.envelope.envid] },
  },
};
