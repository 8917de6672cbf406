/** vnd.dovecot.config: settings of the site as items of environment, `vnd.dovecot.config.NAME`. */
import type { Extension } from '../spec.ts';

/** The items themselves are the environment's: whoever runs the script knows what the site has set. */
export const dovecotConfig: Extension = {
  name: 'vnd.dovecot.config',
  implies: ['vnd.dovecot.environment'],
  silent: true,
};
