/** What a pipeline and a user's rules asked for, done in the user's own process: copies first, then mail to others. */
import { Readable } from 'node:stream';
import type { Edit } from '../../../core/mail/edit.ts';
import { render, renderStream } from '../../../core/mail/render.ts';
import { type MessageSource, memorySource } from '../../../core/mail/source.ts';
import type { Action } from '../../../core/session/plan.ts';
import { runCommand } from '../../outbound/pipe.ts';
import type { Account } from './account.ts';
import { DeliveryError, deliveryCodes } from './delivery-error.ts';
import type { FilteredDelivery } from './filter-delivery.ts';
import type { Place } from './place.ts';
import { deliverByOwnRcfile } from './procmail/own-rcfile.ts';
import { sendMail } from './send-mail.ts';
import { type StoreRequest, storeMessage } from './store-message.ts';
import type { UserRules } from './user-rules.ts';

/** The user's rcfile, which what is for the inbox goes through. */
export interface InboxRules {
  readonly account: Account;
  readonly detail: string;
  readonly place: Place;
}

/**
 * The exit code, which only an rcfile makes another than 0.
 *
 * @throws DeliveryError before anything is done where something of it cannot be done here
 */
export async function carryOut(
  source: MessageSource,
  { sender, edits, actions }: FilteredDelivery,
  copy: StoreRequest,
  { state }: UserRules,
  rules: InboxRules | undefined,
): Promise<number> {
  let exitCode: number = deliveryCodes.ok;
  for (const action of actions) refuseImpossible(action);
  const stores = actions.filter((action) => action.type === 'store');
  for (const { mailbox, create = false, flags = [], edits: own = [], message } of stores) {
    const bytes = message ? memorySource(message) : source;
    const all = message ? own : [...edits, ...own];
    if (rules !== undefined && mailbox === 'INBOX') {
      exitCode = await storeByRules(bytes, all, sender, rules);
      if (exitCode !== deliveryCodes.ok) return exitCode;
      continue;
    }
    await storeMessage(bytes, {
      ...{ ...copy, sender, create: create || mailbox === 'INBOX' },
      ...{ folder: mailbox, flags, edits: all },
    });
  }
  for (const action of actions) {
    if (action.type !== 'remember') continue;
    await state.forPlugin(action.plugin ?? '').set(action.key, true, { ttlSeconds: action.seconds });
  }
  for (const action of actions) {
    if (action.type === 'redirect') {
      const all = [...edits, ...(action.edits ?? [])];
      await sendMail(sender, [action.address], renderStream(source, all, { lineEnds: 'lf', smtputf8: true }));
    } else if (action.type === 'reply') {
      await reply(action, state);
    } else if (action.type === 'run') {
      await runForSite(action, source, { sender, edits, copy });
    }
  }
  return exitCode;
}

/** What a program of the site did not take is kept: nothing here would try again. */
async function runForSite(
  { argv, ofSite, edits: own = [] }: Action & { type: 'run' },
  source: MessageSource,
  { sender, edits, copy }: { sender: string; edits: readonly Edit[]; copy: StoreRequest },
): Promise<void> {
  const rendered = render(source, [...edits, ...own], { smtputf8: true });
  const mail = { sender, recipient: copy.recipient, rendered };
  // An MTA that ends us ends the group it put us in: the program must not go on beyond that.
  const { code } = await runCommand(argv, mail, { ownGroup: false });
  if (code < 400 || ofSite?.onFailure !== 'keep') return;
  await storeMessage(source, { ...copy, sender, create: true, folder: 'INBOX', flags: [], edits });
}

/** Who was answered lately hears nothing; an answer that did not go out is none. */
async function reply(
  { sender, recipients, message, once }: Action & { type: 'reply' },
  state: UserRules['state'],
): Promise<void> {
  const keys = once && state.forPlugin(once.plugin ?? '');
  if (once && !(await keys?.setIfAbsent(once.key, true, { ttlSeconds: once.seconds }))) return;
  const lines = Buffer.from(message).toString('latin1').replaceAll('\r\n', '\n');
  try {
    await sendMail(sender, recipients, [Buffer.from(lines, 'latin1')]);
  } catch (error) {
    if (once) await keys?.delete(once.key);
    throw error;
  }
}

async function storeByRules(
  source: MessageSource,
  edits: readonly Edit[],
  sender: string,
  { account, detail, place }: InboxRules,
): Promise<number> {
  const mail = await Readable.from(renderStream(source, edits, { lineEnds: 'lf', smtputf8: true })).toArray();
  return deliverByOwnRcfile(Buffer.concat(mail), account, sender, detail, place);
}

function refuseImpossible(action: Action): void {
  const impossible =
    action.type === 'notify' ||
    (action.type === 'run' && !action.ofSite) ||
    (action.type === 'store' && (action.path !== undefined || action.format !== undefined));
  if (impossible) {
    throw new DeliveryError(
      deliveryCodes.tempFail,
      `deliver cannot do what a rule asks for: ${action.type}`,
      '4.3.5',
    );
  }
}
