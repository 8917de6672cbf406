/** Mail for other hosts: the send hooks once, then one attempt for all recipients that go the same way. */
import type { Edit } from '../../core/mail/edit.ts';
import type { Recipient } from '../../core/mail/envelope.ts';
import { render } from '../../core/mail/render.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import { emptyPipelineState } from '../../core/pipeline/request.ts';
import type { RecipientOutcome } from '../outbound/outbound.ts';
import { destinationOf } from '../queue/entries.ts';
import type { Attempt, QueueEntry, QueueWork, RelayAttempt, SentForm } from '../queue/queue.ts';
import { refusalOf } from './hooks.ts';
import type { House } from './house.ts';
import { ownConnection, replyText } from './submit.ts';

type Relay = QueueWork & { readonly kind: 'relay' };

/**
 * One attempt for entries of one message that share route, edits and what the send hooks made of them.
 * @param keep notes what the send hooks answered, so that they run once
 */
export async function relay(
  house: House,
  entries: readonly QueueEntry[],
  source: MessageSource,
  keep: (sent: SentForm) => Promise<void>,
): Promise<RelayAttempt> {
  const first = entries[0]!;
  if (isTooLate(first, house.clock.now())) {
    return { attempts: entries.map(() => failed(tooLate)), destination: 'none' };
  }
  const work = first.work as Relay;
  const recipients = entries.flatMap(({ work: each }) => (each as Relay).recipients);
  const prepared = work.sent ?? (await runSendHooks(house, first, recipients, source));
  if ('outcome' in prepared) return { attempts: entries.map(() => prepared), destination: 'none' };
  if (work.sent === undefined && hasSendHooks(house)) await keep(prepared);
  const edits: readonly Edit[] = [...first.edits, ...(work.edits ?? []), ...prepared.edits];
  const { smtputf8 } = first.envelope;
  const via = viaNow(house, first, work);
  const { recipients: outcomes, destination } = await house.outbound.send({
    id: first.transactionId,
    ...via,
    sender: prepared.sender,
    recipients,
    envelope: first.envelope,
    rendered: render(source, edits, { smtputf8 }),
  });
  return {
    attempts: entries.map((entry, index) => conclude(house, entry, recipients[index]!, outcomes[index]!)),
    destination,
  };
}

/** RFC 2852 section 4.1.4: mail that was to go back by then is not offered to anybody any more. */
export function isTooLate({ envelope }: QueueEntry, now: number): boolean {
  return envelope.deliverBy?.mode === 'return' && envelope.deliverBy.until <= now;
}

/** RFC 3463: X.4.7, delivery time expired. */
export const tooLate: Reply = {
  code: 554,
  enhanced: '5.4.7',
  text: 'not delivered in the time it was given',
};

/** The route as the mail was accepted for it; where the config names it no longer, the one that it names now. */
function viaNow(
  house: House,
  entry: QueueEntry,
  { via, recipients }: Relay,
): { via: string; password?: string } {
  const actions = house.config.routes.map(({ action }) => action);
  const named = actions.find((action) => action.kind === 'relay' && action.via === via);
  if (named?.kind === 'relay') {
    return { via, ...(named.password === undefined ? {} : { password: named.password }) };
  }
  if (actions.some((action) => action.kind === 'lmtp' && via === `lmtp:${action.to}`)) return { via };
  if (actions.some((action) => action.kind === 'pipe' && via === `pipe:${JSON.stringify(action.command)}`)) {
    return { via };
  }
  const recipient = recipients[0]?.address ?? '';
  const route = house.router({ recipient, sender: entry.envelope.sender, authenticated: true });
  if (route.kind !== 'relay' || route.via === via) return { via };
  return viaNow(house, entry, { kind: 'relay', via: route.via, recipients });
}

function hasSendHooks({ config, pipelines }: House): boolean {
  return config.sendPipeline in config.pipelines && pipelines.has(config.sendPipeline, 'send');
}

/** What the hooks made of it, or why it cannot be sent. */
async function runSendHooks(
  house: House,
  entry: QueueEntry,
  recipients: readonly Recipient[],
  source: MessageSource,
): Promise<SentForm | Attempt> {
  const { envelope } = entry;
  if (!hasSendHooks(house)) return { sender: envelope.sender, edits: [] };
  const given: readonly Edit[] = [...entry.edits, ...((entry.work as Relay).edits ?? [])];
  // Each destination asks its own questions: the entry's id keeps their answers apart.
  const { id } = entry;
  try {
    const outcome = await house.pipelines.run({
      pipeline: house.config.sendPipeline,
      stages: ['send'],
      id,
      connection: ownConnection(entry.transactionId, entry.createdAt),
      session: { helo: '', esmtp: false },
      envelope: { ...envelope, recipients },
      message: source,
      nextHop: destinationOf(entry.work),
      state: { ...emptyPipelineState, edits: given },
    });
    const { verdict } = outcome;
    for (const { plugin, ms, failure } of outcome.trace) {
      const facts = { plugin, ms: Math.round(ms), ...(failure ? { failed: failure.message } : {}) };
      house.note(id, { at: house.clock.now(), event: 'send-hook', ...facts });
    }
    if (verdict.action === 'discard') return { outcome: 'done' };
    if (verdict.action === 'quarantine')
      return failed({ code: 554, enhanced: '5.7.1', text: verdict.reason });
    const reply = refusalOf(verdict);
    if (reply) return reply.code < 500 ? { outcome: 'retry', reason: replyText(reply) } : failed(reply);
    return {
      sender: outcome.envelope?.sender ?? envelope.sender,
      edits: outcome.state.edits.slice(given.length),
    };
  } finally {
    house.pipelines.forget(id);
  }
}

function failed(reply: Reply): Attempt {
  return { outcome: 'failed', reply };
}

function conclude(
  house: House,
  entry: QueueEntry,
  recipient: Recipient,
  { outcome, reply, remoteMta, tls, reportsOn }: RecipientOutcome,
): Attempt {
  const remote = remoteMta === undefined ? {} : { remoteMta };
  const facts = {
    recipient: recipient.address,
    reply: replyText(reply),
    ...(remoteMta === undefined ? {} : { remote: remoteMta }),
    ...(tls === undefined ? {} : { tls }),
  };
  house.note(entry.id, { at: house.clock.now(), event: event[outcome], ...facts });
  house.log.info(event[outcome], { id: entry.transactionId, action: entry.id, ...facts });
  switch (outcome) {
    case 'delivered':
      return { outcome: 'done', ...noticeOf(entry, recipient, reply, remote, reportsOn === true) };
    case 'failed':
      return { outcome: 'failed', reply: { ...reply, ...remote } };
    case 'deferred':
      return { outcome: 'retry', reason: replyText(reply), ...remote };
  }
}

const event = { delivered: 'sent', deferred: 'send-deferred', failed: 'send-failed' } as const;

/** RFC 3461 sections 5.2.1 and 5.2.2: who passes mail on to a server without DSN says so; who delivers it says that. */
function noticeOf(
  { work, envelope }: QueueEntry,
  recipient: Recipient,
  reply: Reply,
  remote: { remoteMta?: string },
  reportsOn: boolean,
): { notice?: { action: 'relayed' | 'delivered'; reply: Reply; remoteMta?: string } } {
  // RFC 2852 section 4.1.3: with "T" every server on the way tells that it passed the mail on.
  const traced = envelope.deliverBy?.trace === true && !recipient.notify.includes('never');
  if (!traced && (!recipient.notify.includes('success') || reportsOn)) return {};
  const { via } = work as Relay;
  const action = via.startsWith('lmtp:') || via.startsWith('pipe:') ? 'delivered' : 'relayed';
  return { notice: { action, reply, ...remote } };
}
