/** New mail that old mail caused (a redirect, a reply, a bounce) goes through the house like any other; an id that was carried out is known by the names it gave. */
import { createHash } from 'node:crypto';
import { describeError } from '../../core/base/errors.ts';
import type { Edit } from '../../core/mail/edit.ts';
import type { Envelope, MailOrigin, Recipient } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { Connection } from '../../core/session/connection.ts';
import type { DsnWishes } from '../../core/session/plan.ts';
import type { Attempt, QueueEntry } from '../queue/queue.ts';
import { conclude } from './conclude.ts';
import { decideFates } from './fates.ts';
import type { House } from './house.ts';
import { routeOf } from './recipients.ts';
import type { SpooledMessage } from './session.ts';
import { stampOwn } from './stamp.ts';
import { leaveTrace } from './trace.ts';
import { beginTransaction, type Transaction } from './transaction.ts';

export interface SubmitRequest {
  /** Action id; the new transaction's id follows from it. */
  readonly id: string;
  /** Epoch milliseconds at which the action was planned: part of the names of its copies. */
  readonly createdAt: number;
  /** `''` for the null reverse-path. */
  readonly sender: string;
  readonly recipients: readonly string[];
  /** What the message carries from its earlier way. */
  readonly edits: readonly Edit[];
  readonly smtputf8: boolean;
  /** `house` for what this server wrote; for what it only passes on, that of the cause. */
  readonly origin?: MailOrigin;
  /** Of the mail that caused it. RFC 6710. */
  readonly priority?: number;
  /** Of a redirect. RFC 6009. */
  readonly dsn?: DsnWishes;
  /** It may have been carried out before, by an attempt of which nothing is known. */
  readonly repeated?: boolean;
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
    const looping = stampOwn(transaction, source, request.edits);
    if (looping) {
      spooled?.release();
      leaveTrace(transaction, source.length, [looping], new Map());
      return { outcome: 'failed', reply: looping };
    }
    for (const { id, address } of transaction.envelope.recipients) {
      transaction.destinations.set(id, routeOf(transaction, address, true));
    }
    const fates = await decideFates(transaction, source);
    const { replies, outcomes } = await conclude(transaction, fates, source, spooled);
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
  if (reply.code < 500) return { outcome: 'retry', reason: replyText(reply) };
  return { outcome: 'failed', reply };
}

export function replyText({ code, enhanced, text }: Reply): string {
  return enhanced === undefined ? `${code} ${text}` : `${code} ${enhanced} ${text}`;
}

function begin(house: House, request: SubmitRequest): Transaction {
  const id = createHash('sha256').update(request.id).digest('hex').slice(0, 16).toUpperCase();
  const recipients = request.recipients.map(
    (address, index): Recipient => ({
      id: `r${index + 1}`,
      address,
      original: address,
      notify: request.dsn?.notify ?? [],
    }),
  );
  const { ret, envid, deliverBy } = request.dsn ?? {};
  const envelope: Envelope = {
    sender: request.sender,
    recipients,
    body: '8bitmime',
    smtputf8: request.smtputf8,
    requireTls: false,
    ...(request.origin !== undefined && { origin: request.origin }),
    ...(ret && { ret }),
    ...(envid !== undefined && { envid }),
    ...(deliverBy && { deliverBy }),
    ...(request.priority !== undefined && { priority: request.priority }),
  };
  const { config } = house;
  const pipeline = config.sendPipeline in config.pipelines ? config.sendPipeline : undefined;
  const session = { helo: '', esmtp: false };
  const connection = ownConnection(id, house.clock.now());
  return beginTransaction(
    { id, house, connection, session, pipeline, startedAt: request.createdAt, envelope },
    {
      judged: true,
      answered: recipients.map((recipient) => [recipient.id]),
      repeated: request.repeated ?? false,
    },
  );
}

/** The house as its own client. */
export function ownConnection(id: string, now: number): Connection {
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

/**
 * An attempt may have been cut off after its copies were stored. That an attempt began is counted without a sync, and
 * a release counts anew: so what an earlier process took in, and what has a past, is not believed to be a first one.
 */
export function mayBeRepeated({ attempts, lastError, createdAt }: QueueEntry): boolean {
  return attempts > 1 || lastError !== '' || createdAt <= performance.timeOrigin;
}
