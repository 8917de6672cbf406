/** BDAT: CHUNKING and BINARYMIME. RFC 3030. */
import { excessDataBytesMax } from '../../../../core/base/limits/doors.ts';
import type { Reply } from '../../../../core/mail/reply.ts';
import type { Reception } from '../reception.ts';
import { replies } from '../replies.ts';
import type { CommandResult, SmtpSession } from '../session.ts';
import type { Command } from './command.ts';
import { whyNoMessage } from './data.ts';

export const bdat: Command = { run: start };

const badChunk: Reply = { code: 421, enhanced: '4.5.2', text: 'Cannot tell how long this BDAT is' };

function start(session: SmtpSession, text: string): CommandResult {
  const match = /^(\d{1,20})(?: +(LAST))? *$/i.exec(text);
  // Without a length nobody knows where the next command starts.
  if (match === null) return badChunk;
  const size = Number(match[1]);
  const last = match[2] !== undefined;
  if (size > session.door.limits.messageBytesMax + excessDataBytesMax) return replies.tooMuchData;
  const refused = whyNoMessage(session);
  if (refused !== undefined) return skip(session, size, refused);
  const { bdat } = session.transaction!;
  return bdat === undefined ? first(session, size, last) : take(session, bdat, size, last);
}

/** RFC 3030 section 2: the octets of a chunk that is refused are read all the same. */
function skip(session: SmtpSession, size: number, reply: Reply): CommandResult {
  if (size === 0) return reply;
  expectChunk(session, undefined, size, () => reply);
  return undefined;
}

async function first(session: SmtpSession, size: number, last: boolean): Promise<Reply | undefined> {
  const transaction = session.transaction!;
  const answer = await session.ask(() => session.flow.data());
  if (session.closed) return undefined;
  const refused = answer !== undefined && answer.code >= 400 ? answer : undefined;
  const framing = transaction.mailFrom.body === 'binarymime' ? 'bdat-binary' : 'bdat';
  const reception = refused ?? session.openReception(framing);
  if ('code' in reception) {
    session.reset();
    return skip(session, size, reception);
  }
  transaction.bdat = reception;
  return take(session, reception, size, last);
}

function take(session: SmtpSession, reception: Reception, size: number, last: boolean): CommandResult {
  const done = () => chunkIn(session, reception, size, last);
  if (size === 0) return done();
  reception.chunkLeft = size;
  expectChunk(session, reception, size, done);
  return undefined;
}

function expectChunk(
  session: SmtpSession,
  reception: Reception | undefined,
  left: number,
  done: () => CommandResult,
): void {
  session.expected = { kind: 'chunk', reception, left, startedMs: session.door.coarseMs, done };
}

function chunkIn(session: SmtpSession, reception: Reception, size: number, last: boolean): CommandResult {
  if (last) return session.complete(reception);
  if (reception.failure !== undefined) {
    // RFC 3030 section 2: after a failed BDAT all others fail until RSET, which ends the transaction here.
    const { failure } = reception;
    session.reset();
    return failure;
  }
  return { code: 250, enhanced: '2.0.0', text: `${size} octets received` };
}
