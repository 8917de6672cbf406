/** Pipelines as one plugin whose hooks a test writes down: its answers meet by the real rules, without a thread. */
import type { PipelineOutcome, PipelineRequest, Pipelines } from '../../core/pipeline/request.ts';
import { beginStage, mergeAnswer, type Standing } from '../../core/session/merge.ts';
import type { HookName } from '../../core/session/powers.ts';
import type { HookAnswer } from '../../core/session/results.ts';

type Hook = (request: PipelineRequest) => HookAnswer | undefined;

/** `rewrite` is rcptTo for the pass that rewrites; `deliver` is asked per recipient, who is in `request.recipient`. */
export type ScriptedHooks = Partial<Record<HookName | 'rewrite', Hook>>;

export class ScriptedPipelines implements Pipelines {
  hooks: ScriptedHooks;
  readonly requests: PipelineRequest[] = [];
  readonly forgotten: string[] = [];

  constructor(hooks: ScriptedHooks) {
    this.hooks = hooks;
  }

  has(_pipeline: string, hook: HookName): boolean {
    return this.hooks[hook] !== undefined || (hook === 'rcptTo' && this.rewrites());
  }

  rewrites(): boolean {
    return this.hooks.rewrite !== undefined;
  }

  async run(request: PipelineRequest): Promise<PipelineOutcome> {
    this.requests.push(structuredClone(request));
    let standing = beginStage(request.state, request.envelope, request.recipient);
    let recipients: PipelineOutcome['recipients'] = {};
    for (const stage of request.stages) {
      if (stage === 'deliver') {
        const delivered = this.#deliverAll(request, standing);
        standing = delivered.standing;
        recipients = delivered.recipients;
      } else {
        const hook = stage === 'rcptTo' && request.pass === 'rewrite' ? 'rewrite' : stage;
        standing = this.#step(standing, hook, request);
      }
      if (standing.ended) break;
    }
    return outcomeOf(request, standing, recipients);
  }

  #step(standing: Standing, hook: HookName | 'rewrite', request: PipelineRequest): Standing {
    const answer = this.hooks[hook]?.(request);
    return answer ? mergeAnswer(standing, 'scripted', answer) : standing;
  }

  /** As a thread does it: each recipient on its own, what its hooks edit is kept whatever they decide. */
  #deliverAll(request: PipelineRequest, standing: Standing) {
    const { gathered } = standing;
    const recipientEdits = { ...gathered.recipientEdits };
    const recipients: Record<string, PipelineOutcome['recipients'][string]> = {};
    for (const { recipient } of request.deliveries ?? []) {
      const edits = [...gathered.edits, ...(gathered.recipientEdits[recipient.id] ?? [])];
      const before = beginStage({ ...gathered, edits }, standing.envelope);
      const after = this.#step(before, 'deliver', { ...request, recipient });
      if (after.gathered.edits !== edits)
        recipientEdits[recipient.id] = after.gathered.edits.slice(gathered.edits.length);
      recipients[recipient.id] = {
        ...(after.verdict !== before.verdict && { verdict: after.verdict }),
        ...(after.actions.length > 0 && { actions: after.actions }),
      };
    }
    return { standing: { ...standing, gathered: { ...gathered, recipientEdits } }, recipients };
  }

  forget(id: string): void {
    this.forgotten.push(id);
  }

  async reload(): Promise<void> {}

  async close(): Promise<void> {}
}

function outcomeOf(
  request: PipelineRequest,
  { verdict, envelope, pending, gathered, recipients: own }: Standing,
  delivered: PipelineOutcome['recipients'],
): PipelineOutcome {
  const recipients: Record<string, PipelineOutcome['recipients'][string]> = { ...delivered };
  for (const [id, each] of Object.entries(own)) recipients[id] = { ...recipients[id], verdict: each };
  return {
    verdict,
    recipients,
    ...(envelope !== request.envelope && { envelope }),
    ...(pending && pending.recipient !== request.recipient && { recipient: pending.recipient }),
    ...(pending && pending.added.length > 0 && { addedRecipients: pending.added }),
    state: gathered,
    trace: [],
  };
}
