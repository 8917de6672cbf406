/** What the house itself does to a message before any plugin sees it: limits, forged results out, Received in, submission fix-ups. */
import { forgedResultsMax } from '../../core/base/limits/message.ts';
import { applyHeaderEdits } from '../../core/mail/apply-edits.ts';
import { formatAuthenticationResults, isOurs } from '../../core/mail/authentication-results.ts';
import type { Edit } from '../../core/mail/edit.ts';
import type { HeaderBlock } from '../../core/mail/header.ts';
import { judgeHeader, readHeader } from '../../core/mail/read-header.ts';
import { formatReceived } from '../../core/mail/received.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { DoorName } from '../../core/session/powers.ts';
import { foreignAuthor } from './authors.ts';
import { completion, valuesOf } from './completion.ts';
import type { Transaction } from './transaction.ts';

/** Gives a client's message its first edits; answers a reply when the message cannot be taken at all. */
export function stamp(transaction: Transaction, source: MessageSource): Reply | undefined {
  const { house, connection, session } = transaction;
  const refused = judgeHeader(source, house.config.limits);
  if (refused) return refused;
  const block = readHeader(source, house.config.limits);
  transaction.messageId = valuesOf(block, 'message-id')[0] ?? '';
  // Behind another server it is that server's clients who submit, and its rules that they keep.
  const own = transaction.keeper === undefined;
  const submitted = own && (session.user !== undefined || isSubmitting(connection.door));
  if (own && session.user !== undefined) {
    // An authenticated user writes as nobody else.
    const foreign = foreignAuthor(house, session.user, (name) => valuesOf(block, name));
    if (foreign) return { code: 550, enhanced: '5.7.1', text: foreign };
  }
  const edits = [
    ...forgedResults(block, house.config.hostname),
    ...(submitted ? submissionFixes(transaction, block) : []),
    ...(transaction.keeper?.receives === false ? [] : [received(transaction, transaction.house.clock.now())]),
  ];
  // Before what the hooks of the envelope left: the fields are counted in the message as it came.
  transaction.state = { ...transaction.state, edits: [...edits, ...transaction.state.edits] };
  return undefined;
}

/**
 * The same for mail that old mail caused, which carries the edits of its earlier way: they count for loops.
 * RFC 5321 section 6.3.
 */
export function stampOwn(
  transaction: Transaction,
  source: MessageSource,
  edits: readonly Edit[],
): Reply | undefined {
  const { limits } = transaction.house.config;
  const refused = judgeHeader(source, limits);
  if (refused) return refused;
  const block = readHeader(source, limits);
  const header = applyHeaderEdits(block, edits, { smtputf8: transaction.envelope.smtputf8 });
  const hops = header.items.filter((item) => header.isNamed(item, 'received')).length;
  if (hops > limits.receivedFieldsMax) {
    return { code: 554, enhanced: '5.4.6', text: `routing loop: more than ${limits.receivedFieldsMax} hops` };
  }
  transaction.messageId = valuesOf(block, 'message-id')[0] ?? '';
  // The date of the cause: an attempt that repeats another must make the same octets, by which its copies are known.
  const own = received(transaction, transaction.startedAt);
  transaction.state = { ...transaction.state, edits: [...edits, own] };
  return undefined;
}

/** One field, from what every plugin found out, before the recipients' own rules look at the header. RFC 8601. */
export function stampResults(transaction: Transaction): void {
  const { state, house } = transaction;
  if (state.auth.length === 0) return;
  const value = formatAuthenticationResults(house.config.hostname, state.auth);
  const edit: Edit = { type: 'insertHeader', index: 0, name: 'Authentication-Results', value };
  transaction.state = { ...state, edits: [...state.edits, edit] };
}

/** RFC 8601 section 5: a field that claims to be ours was not written by us. The last first, so that counting holds. */
function forgedResults(block: HeaderBlock, hostname: string): Edit[] {
  const name = 'Authentication-Results';
  const edits: Edit[] = [];
  for (const [index, value] of valuesOf(block, name.toLowerCase()).entries()) {
    if (!isOurs(value, hostname)) continue;
    edits.unshift({ type: 'deleteHeader', name, nth: index + 1 });
    // Of who forges so many the others are not to be believed either.
    if (edits.length > forgedResultsMax) return [{ type: 'deleteHeader', name, nth: 'all' }];
  }
  return edits;
}

/** Programs of this machine leave their mail to be completed, as clients of submission do. */
function isSubmitting(door: DoorName): boolean {
  return door === 'submission' || door === 'pipe';
}

function submissionFixes(transaction: Transaction, block: HeaderBlock): Edit[] {
  const { clock, config } = transaction.house;
  const { edits, messageId } = completion(block, config.hostname, clock.now());
  transaction.messageId = messageId;
  return edits;
}

/** @param date epoch milliseconds */
function received(transaction: Transaction, date: number): Edit {
  const { connection, session, house, envelope } = transaction;
  const value = formatReceived({
    helo: session.helo,
    ip: connection.remoteIp,
    remoteName: connection.remoteName,
    hostname: house.config.hostname,
    lmtp: connection.door === 'lmtp' || transaction.keeper?.answersPerRecipient === true,
    esmtp: session.esmtp,
    smtputf8: envelope.smtputf8,
    tls: session.tls,
    authenticated: session.user !== undefined,
    id: transaction.id,
    recipients: envelope.recipients.map((recipient) => recipient.original),
    ...(envelope.priority !== undefined && { priority: envelope.priority }),
    date,
  });
  return { type: 'insertHeader', index: 0, name: 'Received', value };
}
