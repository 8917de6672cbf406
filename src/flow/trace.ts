/** What a finished walk leaves behind: one record for `mailfilter explain`, one line in the log. */
import { describeError } from '../../core/base/errors.ts';
import type { Json } from '../../core/base/json.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { Outcome } from './settle.ts';
import type { Transaction } from './transaction.ts';

/** Never throws: what is answered for stays true without a trace. */
export function leaveTrace(
  transaction: Transaction,
  length: number,
  replies: readonly Reply[],
  outcomes: ReadonlyMap<string, Outcome>,
): void {
  try {
    writeTrace(transaction, length, replies, outcomes);
  } catch (error) {
    transaction.house.log.error('trace-failed', { id: transaction.id, error: describeError(error) });
  }
}

function writeTrace(
  transaction: Transaction,
  length: number,
  replies: readonly Reply[],
  outcomes: ReadonlyMap<string, Outcome>,
): void {
  const { house, connection, session, envelope } = transaction;
  const now = house.clock.now();
  const recipients: Record<string, Json> = {};
  for (const { to, reply } of transaction.refusals)
    if (to !== '') recipients[to] = `refused: ${reply.code} ${reply.enhanced ?? ''}`;
  for (const recipient of envelope.recipients)
    recipients[recipient.address] = outcomes.get(recipient.id)?.kind ?? 'refused';
  const outcome = outcomeWord(
    replies,
    [...outcomes.values()].map(({ kind }) => kind),
  );
  house.trace({
    id: transaction.id,
    at: transaction.startedAt,
    ms: now - transaction.startedAt,
    connection,
    session,
    envelope,
    messageId: transaction.messageId,
    length,
    entries: transaction.trace,
    outcome,
    replies,
    recipients,
  });
  house.log.info('message', {
    id: transaction.id,
    outcome,
    from: envelope.sender,
    to: envelope.recipients.map((recipient) => recipient.address),
    bytes: length,
    ms: now - transaction.startedAt,
    ip: connection.remoteIp,
    reply: replies[0] ? `${replies[0].code} ${replies[0].enhanced ?? ''} ${replies[0].text}` : '',
  });
}

function outcomeWord(replies: readonly Reply[], kinds: readonly string[]): string {
  const classes = new Set(replies.map((reply) => Math.floor(reply.code / 100)));
  if (classes.size > 1) return 'mixed';
  if (classes.has(5)) return 'refused';
  if (classes.has(4)) return 'tempfailed';
  const distinct = new Set(kinds.filter((kind) => kind !== 'same'));
  if (distinct.size > 1) return 'mixed';
  // Without anybody left it was answered with a yes and dropped.
  if (distinct.size === 0 || distinct.has('discard')) return 'discarded';
  if (distinct.has('hold')) return 'held';
  return 'accepted';
}
