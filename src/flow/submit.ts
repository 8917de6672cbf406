/** New mail that old mail caused (a redirect, a reply, a bounce) goes through the house like any other; an id that was carried out is known by the names it gave. */
import { createHash } from 'node:crypto';
import { describeError } from '../../core/base/errors.ts';
import type { Edit } from '../../core/mail/edit.ts';
import type { Envelope, Recipient } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import { emptyPipelineState } from '../../core/pipeline/request.ts';
import type { Connection } from '../../core/session/connection.ts';
import type { Attempt } from '../queue/queue.ts';
import { decideFates } from './fates.ts';
import type { House } from './house.ts';
import { routeOf } from './recipients.ts';
import type { SpooledMessage } from './session.ts';
import { stamp } from './stamp.ts';
import { leaveTrace } from './trace.ts';
import { carryOut } from './transact.ts';
import type { Transaction } from './transaction.ts';

export interface SubmitRequest {
  /** Action id; the new transaction's id follows from it. */
  readonly id: string;
  /** Epoch milliseconds at which the action was planned: part of the names of its copies. */
  readonly createdAt: number;
  /** `''` for the null reverse-path. */
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly edits: readonly Edit[];
  readonly smtputf8: boolean;
}

/** Never rejects: what cannot be done now is a retry, what cannot be done at all has failed. */
export async function submit(
  house: House,
  request: SubmitRequest,
  source: MessageSource,
  spooled?: SpooledMessage,
): Promise<Attempt> {
  const transaction = begin(house, request);
  try {
    const looping = stamp(transaction, source);
    if (looping) {
      spooled?.release();
      return { outcome: 'failed', reply: looping };
    }
    for (const { id, address } of transaction.envelope.recipients) {
      transaction.destinations.set(id, routeOf(transaction, address, true));
    }
    const fates = await decideFates(transaction, source);
    const { replies, outcomes } = await carryOut(transaction, fates, source, spooled);
    leaveTrace(transaction, source.length, replies, outcomes);
    return attemptOf(replies[0]!);
  } catch (error) {
    spooled?.release();
    return { outcome: 'retry', reason: describeError(error) };
  } finally {
    house.pipelines.forget(transaction.id);
  }
}

function attemptOf(reply: Reply): Attempt {
  if (reply.code < 400) return { outcome: 'done' };
  if (reply.code < 500)
    return { outcome: 'retry', reason: `${reply.code} ${reply.enhanced ?? ''} ${reply.text}` };
  return { outcome: 'failed', reply };
}

function begin(house: House, request: SubmitRequest): Transaction {
  const id = createHash('sha256').update(request.id).digest('hex').slice(0, 16).toUpperCase();
  const recipients = request.recipients.map(
    (address, index): Recipient => ({ id: `r${index + 1}`, address, original: address, notify: [] }),
  );
  const envelope: Envelope = {
    sender: request.sender,
    recipients,
    body: '8bitmime',
    smtputf8: request.smtputf8,
    requireTls: false,
  };
  const { config } = house;
  return {
    id,
    house,
    connection: ownConnection(id, house.clock.now()),
    session: { helo: '', esmtp: false },
    pipeline: config.sendPipeline in config.pipelines ? config.sendPipeline : undefined,
    startedAt: request.createdAt,
    envelope,
    state: { ...emptyPipelineState, edits: request.edits },
    destinations: new Map(),
    answered: recipients.map((recipient) => recipient.id),
    discard: undefined,
    judged: true,
    messageId: '',
    reserved: new Map(),
    trace: [],
  };
}

/** The house as its own client. */
function ownConnection(id: string, now: number): Connection {
  return {
    id: `own-${id}`,
    door: 'mda',
    listener: '',
    localIp: '',
    localPort: 0,
    remoteIp: '',
    remotePort: 0,
    remoteName: '',
    trusted: true,
    openedAt: now,
  };
}
