/** What the house itself does to a message before any plugin sees it: limits, forged results out, Received in, submission fix-ups. */

import { parseAddressList } from '../../core/mail/address-list.ts';
import { isOurs } from '../../core/mail/authentication-results.ts';
import { formatDate, makeMessageId } from '../../core/mail/date.ts';
import type { Edit } from '../../core/mail/edit.ts';
import type { HeaderBlock } from '../../core/mail/header.ts';
import { fieldValue } from '../../core/mail/header.ts';
import { judgeHeader, readHeader } from '../../core/mail/read-header.ts';
import { formatReceived } from '../../core/mail/received.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { Transaction } from './transaction.ts';

/** Gives the transaction its first edits; answers a reply when the message cannot be taken at all. */
export function stamp(transaction: Transaction, source: MessageSource): Reply | undefined {
  const { house, connection } = transaction;
  const refused = judgeHeader(source, house.config.limits);
  if (refused) return refused;
  const block = readHeader(source, house.config.limits);
  const edits: Edit[] = forgedResults(block, house.config.hostname);
  transaction.messageId = firstValue(block, 'message-id') ?? '';
  if (transaction.session.user !== undefined) {
    const foreign = foreignAuthor(transaction, block);
    if (foreign) return foreign;
  }
  if (connection.door === 'submission') edits.push(...submissionFixes(transaction, block));
  edits.push({ type: 'insertHeader', index: 0, name: 'Received', value: receivedValue(transaction) });
  transaction.state = { ...transaction.state, edits: [...transaction.state.edits, ...edits] };
  return undefined;
}

/** RFC 8601 section 5: a field that claims to be ours was not written by us. The last first, so that counting holds. */
function forgedResults(block: HeaderBlock, hostname: string): Edit[] {
  const edits: Edit[] = [];
  const name = 'authentication-results';
  let nth = 0;
  for (let index = 0; index < block.starts.length; index++) {
    if (!block.isNamed(index, name)) continue;
    nth += 1;
    if (isOurs(valueOf(block, index), hostname))
      edits.unshift({ type: 'deleteHeader', name: 'Authentication-Results', nth });
  }
  return edits;
}

/** RFC 6409 section 8: what a submission server may complete. Bcc must not reach anybody (RFC 5322 section 3.6.3). */
function submissionFixes(transaction: Transaction, block: HeaderBlock): Edit[] {
  const { clock, config } = transaction.house;
  const edits: Edit[] = [];
  if (block.countNamed('bcc') > 0) edits.push({ type: 'deleteHeader', name: 'Bcc', nth: 'all' });
  if (block.countNamed('date') === 0)
    edits.push({ type: 'addHeader', name: 'Date', value: formatDate(clock.now()) });
  if (transaction.messageId === '') {
    transaction.messageId = makeMessageId(config.hostname, clock.now());
    edits.push({ type: 'addHeader', name: 'Message-ID', value: transaction.messageId });
  }
  return edits;
}

/** An authenticated user writes as nobody else: every From and Sender address is one of the user's own. */
function foreignAuthor(transaction: Transaction, block: HeaderBlock): Reply | undefined {
  const { users } = transaction.house;
  const found = users?.find(transaction.session.user!);
  for (let index = 0; index < block.starts.length; index++) {
    if (!block.isNamed(index, 'from')) continue;
    for (const { address } of parseAddressList(valueOf(block, index))) {
      if (found && users!.owns(found.user, address)) continue;
      const text = `From address <${address}> is not one of ${transaction.session.user}`;
      return { code: 550, enhanced: '5.7.1', text };
    }
  }
  return undefined;
}

function receivedValue(transaction: Transaction): string {
  const { connection, session, house, envelope } = transaction;
  return formatReceived({
    helo: session.helo,
    ip: connection.remoteIp,
    remoteName: connection.remoteName,
    hostname: house.config.hostname,
    lmtp: connection.door === 'lmtp',
    esmtp: session.esmtp,
    smtputf8: envelope.smtputf8,
    tls: session.tls,
    authenticated: session.user !== undefined,
    id: transaction.id,
    recipients: envelope.recipients.map((recipient) => recipient.original),
    date: house.clock.now(),
  });
}

function firstValue(block: HeaderBlock, lowerName: string): string | undefined {
  for (let index = 0; index < block.starts.length; index++) {
    if (block.isNamed(index, lowerName)) return valueOf(block, index);
  }
  return undefined;
}

function valueOf(block: HeaderBlock, index: number): string {
  return fieldValue(block.bytes.subarray(block.starts[index], block.end(index)));
}
