/** vnd.dovecot.debug: debug_log writes to the log of the run. */
import type { ActionSpec, Extension } from '../spec.ts';

const debugLog: ActionSpec = {
  name: 'debug_log',
  kind: 'command',
  positional: [{ name: 'message', type: 'string' }],
  compile(use) {
    const message = use.text(0);
    return (run) => {
      const text = message.value(run);
      run.log.push(
        `${run.place.script}: line ${run.place.line}: ${text.replace(/[\x00-\x1f\x7f]+/g, ' ').toWellFormed()}`,
      );
    };
  },
};

export const dovecotDebug: Extension = { name: 'vnd.dovecot.debug', specs: [debugLog] };
