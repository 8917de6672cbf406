/** What a pipeline and a user's rules asked for, done in the user's own process: copies first, then mail to others. */
import { renderStream } from '../../../core/mail/render.ts';
import type { MessageSource } from '../../../core/mail/source.ts';
import type { Action } from '../../../core/session/plan.ts';
import { DeliveryError, deliveryCodes } from './delivery-error.ts';
import type { FilteredDelivery } from './filter-delivery.ts';
import { sendMail } from './send-mail.ts';
import { type StoreRequest, storeMessage } from './store-message.ts';

/** @throws DeliveryError before anything is done where something of it cannot be done here */
export async function carryOut(
  source: MessageSource,
  { sender, edits, actions }: FilteredDelivery,
  copy: StoreRequest,
): Promise<void> {
  for (const action of actions) refuseImpossible(action);
  const stores = actions.filter((action) => action.type === 'store');
  for (const { mailbox, create = false, flags = [], edits: own = [] } of stores) {
    await storeMessage(source, {
      ...{ ...copy, sender, create: create || mailbox === 'INBOX' },
      ...{ folder: mailbox, flags, edits: [...edits, ...own] },
    });
  }
  for (const action of actions) {
    if (action.type === 'redirect') {
      const all = [...edits, ...(action.edits ?? [])];
      await sendMail(sender, [action.address], renderStream(source, all, { lineEnds: 'lf', smtputf8: true }));
    } else if (action.type === 'reply') {
      const lines = Buffer.from(action.message).toString('latin1').replaceAll('\r\n', '\n');
      await sendMail(action.sender, action.recipients, [Buffer.from(lines, 'latin1')]);
    }
  }
}

function refuseImpossible(action: Action): void {
  const impossible =
    action.type === 'notify' ||
    action.type === 'run' ||
    (action.type === 'store' && (action.path !== undefined || action.format !== undefined));
  if (impossible) {
    throw new DeliveryError(
      deliveryCodes.tempFail,
      `deliver cannot do what a rule asks for: ${action.type}`,
      '4.3.5',
    );
  }
}
