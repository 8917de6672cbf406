/** reject and ereject. RFC 5429. */
import type { ActionSpec, Extension } from '../spec.ts';

function refusal(mode: 'reject' | 'ereject'): ActionSpec {
  return {
    name: mode,
    kind: 'command',
    positional: [{ name: 'reason', type: 'string' }],
    compile(use) {
      const reason = use.text(0);
      return (run) => {
        const text = reason.value(run);
        const at = run.place;
        run.plan.add({ kind: mode, at, finish: () => ({ type: 'reject', mode, reason: text, at }) }, true);
        run.trace?.input('did', mode);
      };
    },
  };
}

export const reject: Extension = { name: 'reject', specs: [refusal('reject')] };
export const ereject: Extension = { name: 'ereject', specs: [refusal('ereject')] };
