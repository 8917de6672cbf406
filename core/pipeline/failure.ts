/** A failed plugin never counts as a pass: what its policy makes of the failure. */

import type { HookName } from '../session/powers.ts';
import { stageRights } from '../session/read-answer.ts';
import type { HookAnswer } from '../session/results.ts';
import type { Verdict } from '../session/verdict.ts';
import type { FailurePolicy } from './request.ts';

// The client learns nothing of what failed; the trace has it all.
const verdicts: Readonly<Record<FailurePolicy, (plugin: string) => Verdict>> = {
  tempfail: () => ({
    action: 'tempfail',
    code: 451,
    enhanced: '4.3.0',
    text: 'temporary failure, try again later',
  }),
  continue: () => ({ action: 'continue' }),
  quarantine: (plugin) => ({ action: 'quarantine', reason: `the plugin ${plugin} failed` }),
  reject: () => ({ action: 'reject', code: 554, enhanced: '5.3.0', text: 'message refused' }),
};

/** The answer that stands in for a failed one; hooks that only observe have none. */
export function failureAnswer(policy: FailurePolicy, plugin: string, hook: HookName): HookAnswer {
  if (policy === 'continue' || !stageRights[hook].verdict) return {};
  return { verdict: verdicts[policy](plugin) };
}
