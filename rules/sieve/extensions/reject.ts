/** reject and ereject. RFC 5429. */
import type { RejectAction } from '../actions.ts';
import type { RunPlace } from '../compiler.ts';
import { rejectMessage } from '../reject-message.ts';
import type { Run } from '../run.ts';
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
        run.plan.add({ kind: mode, at, finish: () => finish(run, mode, text, at) }, true);
        run.trace?.input('did', mode);
      };
    },
  };
}

/** RFC 5429 section 2.1: where ereject comes too late for the protocol, a DSN tells of it, which the mail server writes. */
function finish(run: Run, mode: RejectAction['mode'], reason: string, at: RunPlace): RejectAction {
  const mail = mode === 'reject' ? rejectMessage(run, reason) : undefined;
  return { type: 'reject', mode, reason, at, ...(mail && { notification: mail.message }) };
}

export const reject: Extension = { name: 'reject', specs: [refusal('reject')] };
export const ereject: Extension = { name: 'ereject', specs: [refusal('ereject')] };
