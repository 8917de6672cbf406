/** From what a recipient's rules ask for to what is carried out: the implicit keep, forwarding, loops, and what cannot be done here. */
import { compareForm, isAddress } from '../../core/mail/address.ts';
import type { Recipient } from '../../core/mail/envelope.ts';
import { openMessage } from '../../core/mail/open-message.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { Action } from '../../core/session/plan.ts';
import type { User } from '../users/users.ts';
import type { Destination, Transaction } from './transaction.ts';

type Mailbox = Destination & { kind: 'mailbox' };

/** The implicit keep. */
export const keep: Action & { readonly type: 'store' } = { type: 'store', mailbox: 'INBOX' };
/** The same for mail that is suspect. */
export const junk: Extract<Action, { type: 'store' }> = { type: 'store', mailbox: 'Junk', create: true };

/**
 * The actions of one local recipient as they will be planned.
 * @param asked absent where no rule spoke: then the implicit keep, or the addresses that the user forwards to
 */
export function localActions(
  transaction: Transaction,
  recipient: Recipient,
  { user }: Mailbox,
  asked: readonly Action[] | undefined,
  source: MessageSource,
): readonly Action[] {
  const actions = placeKeeps(
    asked,
    (place) => withoutRules(transaction, user, place),
    isQuarantined(transaction.state) ? junk : undefined,
  );
  if (!actions.some(({ type }) => type === 'redirect')) return actions;
  if (!isLooping(transaction, recipient, source)) return actions;
  const { house, id } = transaction;
  house.log.warn('forwarding-loop', { id, recipient: recipient.address });
  // Whoever would get the mail round and round keeps it. RFC 5228 section 10.
  return [keep, ...actions.filter(({ type }) => type !== 'redirect' && type !== 'store')];
}

/** Why the actions cannot be carried out here, in words for the operator; undefined when they can. */
export function whyImpossible(
  { house }: Transaction,
  actions: readonly Action[] | undefined,
): string | undefined {
  for (const action of actions ?? []) {
    const problem = problemOf(action, house.config.mailbox.format);
    if (problem) return problem;
  }
  return undefined;
}

function problemOf(action: Action, format: 'maildir' | 'mbox'): string | undefined {
  switch (action.type) {
    case 'store':
      // A place of its own can only be written to by the user's own process.
      if (action.path !== undefined) return 'store: a path is only for delivery as the user';
      return action.format === undefined || action.format === format
        ? undefined
        : `store: mailboxes here are ${format}, not ${action.format}`;
    case 'redirect':
      return isAddress(action.address) ? undefined : 'redirect: not an address';
    case 'reply':
      if (action.sender !== '' && !isAddress(action.sender)) return 'reply: the sender is no address';
      return action.recipients.length > 0 && action.recipients.every(isAddress)
        ? undefined
        : 'reply: a recipient is no address';
    case 'run':
      return action.ofSite && action.argv[0]!.startsWith('/')
        ? undefined
        : 'run: a program of the user is only for delivery as the user';
    case 'notify':
      return 'notify: not possible in the server';
    case 'keepIn':
    case 'remember':
    case 'discard':
    case 'refuse':
      return undefined;
  }
}

/**
 * What no rule names a place for goes where the last `keepIn` says.
 * @param withoutRules what is done where no rule spoke, with that place
 * @param usual the place where no `keepIn` says one; INBOX where that is absent too
 */
export function placeKeeps(
  asked: readonly Action[] = [],
  withoutRules: (place: Action | undefined) => readonly Action[],
  usual?: Extract<Action, { type: 'store' }>,
): readonly Action[] {
  const place = asked.findLast((action) => action.type === 'keepIn') ?? usual;
  const rules = asked.filter((action) => action.type !== 'keepIn');
  if (place === undefined) return rules.length === 0 ? withoutRules(undefined) : rules;
  const { mailbox, create = false } = place;
  if (rules.length === 0) return withoutRules({ type: 'store', mailbox, create });
  return rules.map((action) =>
    action.type === 'store' && action.implicit === true ? { ...action, mailbox, create } : action,
  );
}

/** `forward` in the users file takes the place of the mailbox, unless the user's own address is among it. */
function withoutRules({ house }: Transaction, user: User, place: Action | undefined): readonly Action[] {
  const isOwn = (address: string) => house.users?.owns(user, address) === true;
  const elsewhere = user.forward.filter((address) => !isOwn(address));
  const kept = place ?? keep;
  if (elsewhere.length === 0) return [kept];
  const redirects = elsewhere.map((address): Action => ({ type: 'redirect', address }));
  return user.forward.some(isOwn) ? [kept, ...redirects] : redirects;
}

/** The author's domain wants such mail set apart, in the words that our Authentication-Results has for it. RFC 9989. */
function isQuarantined({ auth }: Transaction['state']): boolean {
  return auth.some(
    ({ method, properties }) => method === 'dmarc' && properties?.['policy.dmarc'] === 'quarantine',
  );
}

/** The message was delivered to this address before: a redirect wrote so. RFC 9228. */
function isLooping(
  { state, envelope }: Transaction,
  { address, id }: Recipient,
  source: MessageSource,
): boolean {
  const edits = [...state.edits, ...(state.recipientEdits[id] ?? [])];
  const { headers } = openMessage(source, edits, { smtputf8: envelope.smtputf8 });
  const own = comparable(address);
  return headers.all('Delivered-To').some((value) => comparable(value) === own);
}

function comparable(address: string): string {
  return compareForm(address.trim()).toLowerCase();
}
