/** RCPT in its fixed order: rewriting plugins, then routes, users and quota, then the plugins that judge. */
import type { Recipient } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import { refusalOf, runStages } from './hooks.ts';
import type { Answer, RcptTo } from './session.ts';
import type { Destination, Transaction } from './transaction.ts';

/** Admits one recipient, or several when a plugin expanded it; all or none, so that the client's answer is true of each. */
export async function admitRecipient(transaction: Transaction, rcptTo: RcptTo): Promise<Answer> {
  const asked: Recipient = { ...rcptTo, id: nextId(transaction), original: rcptTo.address };
  const { recipient, expanded, refused } = await rewrite(transaction, asked);
  if (refused) return refused;
  const wanted = [recipient, ...expanded];
  // What the operator's own alias table names may leave this host, whoever the client is.
  const rewritten = expanded.length > 0 || recipient.address !== asked.address;
  const routed = wanted.map((each) => routeOf(transaction, each.address, rewritten));
  const refusal = routed.find((each) => each.kind === 'refused')?.reply;
  const judged = await judge(transaction, recipient, routed[0]!, refusal);
  if (judged) return judged;
  transaction.answered.push(recipient.id);
  wanted.forEach((each, index) => {
    transaction.destinations.set(each.id, routed[index]!);
  });
  transaction.envelope = {
    ...transaction.envelope,
    recipients: [...transaction.envelope.recipients, ...wanted],
  };
  return undefined;
}

/**
 * Where one address goes, or why it goes nowhere.
 * @param ownInitiative the operator's rules or our own software named the address, not the client
 */
export function routeOf(transaction: Transaction, address: string, ownInitiative: boolean): Destination {
  const { house, connection, session, envelope } = transaction;
  const route = house.router({
    recipient: address,
    sender: envelope.sender,
    authenticated: ownInitiative || session.user !== undefined || connection.trusted,
  });
  if (route.kind === 'reject') return { kind: 'refused', reply: route.reply };
  if (route.kind === 'relay') return { kind: 'relay', via: route.via };
  if (route.kind === 'lmtp') return { kind: 'relay', via: `lmtp:${route.to}` };
  const found = house.users?.find(address);
  if (!found) return refused(550, '5.1.1', `no such user: <${address}>`);
  if (found.user.disabled) return refused(550, '5.2.1', `mailbox disabled: <${address}>`);
  const troubled = house.troubled(found.user.address);
  if (troubled) return { kind: 'refused', reply: troubled };
  return { kind: 'mailbox', user: found.user, detail: found.detail };
}

function refused(code: number, enhanced: string, text: string): Destination {
  return { kind: 'refused', reply: { code, enhanced, text } };
}

async function rewrite(
  transaction: Transaction,
  asked: Recipient,
): Promise<{ recipient: Recipient; expanded: Recipient[]; refused?: Reply }> {
  const { pipelines } = transaction.house;
  if (!transaction.pipeline || !pipelines.rewrites(transaction.pipeline))
    return { recipient: asked, expanded: [] };
  const outcome = await runStages(transaction, ['rcptTo'], {
    recipient: asked,
    route: 'mailbox',
    pass: 'rewrite',
  });
  const recipient = outcome.recipient ?? asked;
  const expanded = (outcome.addedRecipients ?? []).map((address, index) => ({
    ...recipient,
    id: nextId(transaction, index + 1),
    address,
    original: asked.original,
  }));
  return { recipient, expanded, refused: refusalOf(outcome.verdict) };
}

/** Plugins that judge run for refused recipients too: a spamtrap wants to see the unknown ones. */
async function judge(
  transaction: Transaction,
  recipient: Recipient,
  routed: Destination,
  refusal: Reply | undefined,
): Promise<Answer> {
  const { pipelines } = transaction.house;
  if (!transaction.pipeline || !pipelines.has(transaction.pipeline, 'rcptTo')) return refusal;
  const unknown = routed.kind === 'refused' && routed.reply.enhanced === '5.1.1';
  const route = unknown ? 'unknown-user' : routed.kind;
  const outcome = await runStages(transaction, ['rcptTo'], { recipient, route, pass: 'judge' });
  return refusal ?? refusalOf(outcome.verdict);
}

function nextId(transaction: Transaction, ahead = 0): string {
  return `r${transaction.destinations.size + 1 + ahead}`;
}
