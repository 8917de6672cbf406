/** RCPT in its fixed order: rewriting plugins, then routes, users and quota, then the plugins that judge. */
import { describeError } from '../../core/base/errors.ts';
import { expandedRecipientsMax } from '../../core/base/limits/outbound.ts';
import { formatListenAddress } from '../../core/config/listen-address.ts';
import type { Recipient } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { PipelineRequest } from '../../core/pipeline/request.ts';
import type { Verdict } from '../../core/session/verdict.ts';
import { mailboxPath } from '../mailbox/locate.ts';
import { refusalOf, runStages } from './hooks.ts';
import type { House } from './house.ts';
import { quotaRefusal } from './quotas.ts';
import type { Answer, RcptTo } from './session.ts';
import type { Destination, Transaction } from './transaction.ts';

type Routed = Exclude<Destination, { kind: 'nowhere' }>;

/** Admits one recipient, or several when a plugin expanded it; all or none, so that the client's answer is true of each. */
export async function admitRecipient(transaction: Transaction, rcptTo: RcptTo): Promise<Answer> {
  const asked: Recipient = {
    ...rcptTo,
    id: nextId(transaction),
    address: withDomain(transaction.house, rcptTo.address),
    original: rcptTo.address,
  };
  const { targets, verdict } = await rewrite(transaction, asked);
  const refused = refusalOf(verdict);
  if (refused) return refused;
  const { house, envelope } = transaction;
  const recipientsMax = Math.max(expandedRecipientsMax, house.config.limits.recipientsMax);
  // RFC 5321 section 4.5.3.1.10; the client sends to the others in a transaction of their own.
  if (envelope.recipients.length + targets.length > recipientsMax) return tooManyRecipients;
  if (verdict.action === 'discard') return admit(transaction, targets, [nowhere(verdict.reason)]);
  const ownInitiative = isRewritten(asked, targets) && isServed(transaction, asked.address);
  const routed = targets.map((target) => routeOf(transaction, target.address, ownInitiative));
  const refusal =
    routed.find((each) => each.kind === 'refused')?.reply ?? (await quotaRefusal(transaction, routed));
  const judged = await judge(transaction, targets[0]!, routed[0]!);
  // Plugins that judge run for refused recipients too: a spamtrap wants to see the unknown ones.
  if (refusal) return refusal;
  if (judged.action === 'discard') return admit(transaction, targets, [nowhere(judged.reason)]);
  return (
    refusalOf(judged) ??
    (await transaction.keeper?.admit?.(transaction, targets)) ??
    admit(transaction, targets, routed)
  );
}

const tooManyRecipients: Reply = { code: 452, enhanced: '4.5.3', text: 'too many recipients' };

/**
 * Where one address goes, or why it goes nowhere. The replies name no address: what an alias stands for is not the
 * client's business.
 * @param ownInitiative the operator's rules or our own software named the address, not the client
 */
export function routeOf(transaction: Transaction, address: string, ownInitiative: boolean): Routed {
  const { house, keeper } = transaction;
  const via = keeper?.via ?? behindFilter(transaction);
  if (via !== undefined) return { kind: 'relay', via };
  const route = house.router({
    recipient: address,
    sender: transaction.envelope.sender,
    authenticated: ownInitiative || mayRelay(transaction),
  });
  if (route.kind === 'reject') return { kind: 'refused', reply: route.reply };
  if (route.kind === 'relay') return { kind: 'relay', via: route.via };
  if (route.kind === 'lmtp') return { kind: 'relay', via: `lmtp:${route.to}` };
  if (route.kind === 'pipe') return { kind: 'relay', via: `pipe:${JSON.stringify(route.command)}` };
  const found = house.users?.find(address);
  if (!found) return refused(550, '5.1.1', 'no such user here');
  if (found.user.disabled) return refused(550, '5.2.1', 'this mailbox is disabled');
  const troubled = house.troubled(found.user.address);
  if (troubled) return { kind: 'refused', reply: troubled };
  try {
    const path = mailboxPath(house.config.mailbox.path, found.user.address);
    return { kind: 'mailbox', user: found.user, detail: found.detail, path };
  } catch (error) {
    house.log.error('mailbox-unusable', { user: found.user.address, error: describeError(error) });
    return refused(451, '4.3.5', 'this mailbox cannot be reached now');
  }
}

/** Mail that a filter door held goes on, once released, to where the rest went. */
function behindFilter({ house, connection }: Transaction): string | undefined {
  const next = house.config.listeners.find(({ name }) => name === connection.listener)?.next;
  if (next === undefined) return undefined;
  const address = formatListenAddress(next.address);
  return next.protocol === 'lmtp' ? `lmtp:${address}` : `${address}?tls=none`;
}

function refused(code: number, enhanced: string, text: string): Routed {
  return { kind: 'refused', reply: { code, enhanced, text } };
}

function nowhere(reason: string): Destination {
  return { kind: 'nowhere', reason };
}

function mayRelay({ session, connection }: Transaction): boolean {
  return session.user !== undefined || connection.trusted;
}

function isRewritten(asked: Recipient, targets: readonly Recipient[]): boolean {
  return targets.length > 1 || targets[0]!.address !== asked.address;
}

/**
 * What the operator's own alias table names may leave this host, whoever the client is; but only for an address that
 * the routes take from that client. Else a plugin that tidies addresses would open a relay.
 */
function isServed(transaction: Transaction, address: string): boolean {
  const { sender } = transaction.envelope;
  const route = transaction.house.router({
    recipient: address,
    sender,
    authenticated: mayRelay(transaction),
  });
  return route.kind !== 'reject';
}

/** RFC 5321 section 4.5.1: `<postmaster>` without a domain is the postmaster of this host. */
function withDomain({ config }: House, address: string): string {
  return address.toLowerCase() === 'postmaster'
    ? `${address}@${config.domains[0] ?? config.hostname}`
    : address;
}

function admit(
  transaction: Transaction,
  targets: readonly Recipient[],
  routed: readonly Destination[],
): undefined {
  // One destination for all targets where they lead nowhere together.
  for (const [index, { id }] of targets.entries()) {
    transaction.destinations.set(id, routed[index] ?? routed[0]!);
  }
  transaction.answered.push(targets.map(({ id }) => id));
  const recipients = [...transaction.envelope.recipients, ...targets];
  transaction.envelope = { ...transaction.envelope, recipients };
  return undefined;
}

const proceed: Verdict = { action: 'continue' };

/** The recipient as plugins rewrote it, and those it was expanded into. */
async function rewrite(
  transaction: Transaction,
  asked: Recipient,
): Promise<{ targets: readonly Recipient[]; verdict: Verdict }> {
  const { pipelines } = transaction.house;
  if (!transaction.pipeline || !pipelines.rewrites(transaction.pipeline)) {
    return { targets: [asked], verdict: proceed };
  }
  const { recipient, addedRecipients, verdict } = await runStages(transaction, ['rcptTo'], {
    recipient: asked,
    // A catch-all takes only what leads to nobody.
    route: routeWord(routeOf(transaction, asked.address, false)),
    pass: 'rewrite',
  });
  const first = recipient ?? asked;
  const expanded = (addedRecipients ?? []).map(
    (address, index): Recipient => ({ ...first, id: nextId(transaction, index + 1), address }),
  );
  return { targets: [first, ...expanded], verdict };
}

async function judge(transaction: Transaction, recipient: Recipient, routed: Routed): Promise<Verdict> {
  const { pipelines, log } = transaction.house;
  if (!transaction.pipeline || !pipelines.has(transaction.pipeline, 'rcptTo')) return proceed;
  const route = routeWord(routed);
  const outcome = await runStages(transaction, ['rcptTo'], { recipient, route, pass: 'judge' });
  if (outcome.recipient || outcome.addedRecipients) {
    // Routes and users were asked already: a plugin that rewrites recipients has to declare it.
    log.error('undeclared-rewrite', { id: transaction.id, recipient: recipient.address });
    return { action: 'tempfail', code: 451, enhanced: '4.3.5', text: 'server is misconfigured' };
  }
  return outcome.verdict;
}

/** What plugins are told of a route. */
function routeWord(routed: Routed): NonNullable<PipelineRequest['route']> {
  return routed.kind === 'refused' && routed.reply.enhanced === '5.1.1' ? 'unknown-user' : routed.kind;
}

function nextId(transaction: Transaction, ahead = 0): string {
  return `r${transaction.destinations.size + 1 + ahead}`;
}
