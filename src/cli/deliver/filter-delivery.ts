/** The pipeline of a config on a message for one system user, in this process: what it decides, as deliveries to carry out. */
import { createLog } from '../../../core/base/log.ts';
import type { Config } from '../../../core/config/config.ts';
import type { Edit } from '../../../core/mail/edit.ts';
import type { MessageSource } from '../../../core/mail/source.ts';
import type { Action } from '../../../core/session/plan.ts';
import type { Verdict } from '../../../core/session/verdict.ts';
import { placeKeeps } from '../../flow/actions.ts';
import { newTransactionId } from '../../flow/transaction.ts';
import { filterMessage } from '../filter-message.ts';
import { openOnePipeline } from '../one-pipeline.ts';
import { DeliveryError, deliveryCodes } from './delivery-error.ts';
import type { UserRules } from './user-rules.ts';

export interface FilteredDelivery {
  /** As hooks left it. */
  readonly sender: string;
  readonly edits: readonly Edit[];
  /** Empty: nothing is to be done, for a hook said discard. */
  readonly actions: readonly Action[];
}

export interface DeliveryFacts {
  readonly sender: string;
  readonly recipient: string;
  readonly user: string;
  readonly detail: string;
  /** Key in `pipelines`. */
  readonly pipeline: string;
  readonly rules: UserRules;
}

const keep: Action = { type: 'store', mailbox: 'INBOX' };

/** @throws DeliveryError EX_NOPERM for what the pipeline refuses, EX_TEMPFAIL for what it defers or cannot do here */
export async function filterDelivery(
  config: Config,
  source: MessageSource,
  { sender, recipient, user, detail, pipeline, rules }: DeliveryFacts,
): Promise<FilteredDelivery> {
  const log = createLog({ level: 'error' });
  const pipelines = await openOnePipeline(config, pipeline, log, rules.state, rules);
  try {
    const now = Date.now();
    const result = await filterMessage(
      {
        ...{ door: 'mda', pipeline, hostname: config.hostname, ip: '', helo: '' },
        ...{
          sender,
          recipients: [recipient],
          delivery: { user, detail, addresses: [recipient] },
          id: newTransactionId(now),
          now,
        },
      },
      source,
      pipelines,
    );
    const own = Object.values(result.recipients)[0];
    const verdict = own && own.action !== 'continue' ? own : result.verdict;
    if (verdict.action === 'discard') return { sender, edits: [], actions: [] };
    refuse(verdict);
    const actions = placeKeeps(result.actions, (place) => [place ?? keep]);
    for (const action of actions) if (action.type === 'refuse') throw refusal(action);
    return { sender: result.envelope.sender, edits: result.edits, actions };
  } finally {
    await pipelines.close();
    log.close();
  }
}

function refuse(verdict: Verdict): void {
  if (verdict.action === 'reject' || verdict.action === 'tempfail') throw refusal(verdict);
  // There is no place here that nobody but an operator sees.
  if (verdict.action === 'quarantine') {
    throw new DeliveryError(deliveryCodes.tempFail, `no quarantine here: ${verdict.reason}`, '4.7.0');
  }
}

function refusal({ code, enhanced, text }: { code: number; enhanced: string; text: string }): DeliveryError {
  return new DeliveryError(code < 500 ? deliveryCodes.tempFail : deliveryCodes.noPermission, text, enhanced);
}
