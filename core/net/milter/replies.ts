/** Replies of the milter protocol as values: what the filter decides, and the modifications it asks for. */
import { milterLimits } from '../../base/limits/doors.ts';
import { stringAt, stringsIn, terminated, textOf, uint32, uint32At } from './fields.ts';
import { decodeTerms, encodeTerms, type Terms } from './negotiation.ts';
import { bodyChunkBytes, type ReplyType, replyLetters } from './numbers.ts';
import { encodePacket, type Packet, type Part } from './packet.ts';
import { MilterWireError } from './wire-error.ts';

export type MilterModification =
  /** `value` as octets, line ends LF; white space after the colon stands in it where `leadingSpace` was agreed on. */
  | { readonly type: 'addHeader'; readonly name: string; readonly value: Uint8Array }
  | {
      readonly type: 'insertHeader';
      readonly index: number;
      readonly name: string;
      readonly value: Uint8Array;
    }
  /** The nth field of that name, from 1; an empty value deletes it. */
  | { readonly type: 'changeHeader'; readonly nth: number; readonly name: string; readonly value: Uint8Array }
  /** Paths in angle brackets. */
  | { readonly type: 'changeSender'; readonly path: string; readonly arguments?: string }
  | { readonly type: 'addRecipient'; readonly path: string }
  | { readonly type: 'addRecipientWithArguments'; readonly path: string; readonly arguments: string }
  | { readonly type: 'deleteRecipient'; readonly path: string }
  /** At most 65,535 octets; the chunks together are the new body. */
  | { readonly type: 'replaceBody'; readonly chunk: Uint8Array }
  | { readonly type: 'quarantine'; readonly reason: string };

export type MilterReply =
  | { readonly type: 'negotiate'; readonly terms: Terms }
  | {
      readonly type:
        | 'continue'
        | 'accept'
        | 'discard'
        | 'reject'
        | 'tempfail'
        | 'skip'
        | 'progress'
        | 'shutdown'
        | 'connectionFailed';
    }
  /** As on the wire of SMTP, lines parted by CRLF: `550 5.7.1 no`. */
  | { readonly type: 'replyCode'; readonly lines: string }
  | MilterModification;

type ReplyOf<Type extends ReplyType> = MilterReply & { readonly type: Type };

const nul = Buffer.from([0]);

/** What the data of each reply is made of; those that are not here have none. */
const encoders: { readonly [Type in ReplyType]: (reply: ReplyOf<Type>) => readonly Part[] } = {
  negotiate: ({ terms }) => [encodeTerms(terms).subarray(5)],
  continue: () => [],
  accept: () => [],
  discard: () => [],
  reject: () => [],
  tempfail: () => [],
  skip: () => [],
  progress: () => [],
  shutdown: () => [],
  connectionFailed: () => [],
  // A filter's text is a format to Sendmail: libmilter has its users double each percent sign.
  replyCode: ({ lines }) => [terminated(lines.replaceAll('%', '%%'), 'a reply')],
  addHeader: ({ name, value }) => [terminated(name, 'a field'), checkedValue(value), nul],
  insertHeader: ({ index, name, value }) => [
    uint32(index),
    terminated(name, 'a field'),
    checkedValue(value),
    nul,
  ],
  changeHeader: ({ nth, name, value }) => [
    uint32(nth),
    terminated(name, 'a field'),
    checkedValue(value),
    nul,
  ],
  changeSender: (reply) => [
    terminated(reply.path, 'a sender'),
    ...(reply.arguments === undefined ? [] : [terminated(reply.arguments, 'an argument')]),
  ],
  addRecipient: ({ path }) => [terminated(path, 'a recipient')],
  addRecipientWithArguments: (reply) => [
    terminated(reply.path, 'a recipient'),
    terminated(reply.arguments, 'an argument'),
  ],
  deleteRecipient: ({ path }) => [terminated(path, 'a recipient')],
  replaceBody: ({ chunk }) => [checkedChunk(chunk)],
  quarantine: ({ reason }) => [terminated(reason, 'a reason')],
};

/** @throws MilterWireError for NUL in a text, or a chunk that is too long */
export function encodeReply(reply: MilterReply): Buffer {
  // The table pairs each type with its own encoder, which TypeScript cannot see through an index.
  const encode = encoders[reply.type] as (reply: MilterReply) => readonly Part[];
  return encodePacket(replyLetters[reply.type], ...encode(reply));
}

const decoders: { readonly [Type in ReplyType]: (data: Buffer) => ReplyOf<Type> } = {
  negotiate: (data) => ({ type: 'negotiate', terms: decodeTerms(data) }),
  continue: () => ({ type: 'continue' }),
  accept: () => ({ type: 'accept' }),
  discard: () => ({ type: 'discard' }),
  reject: () => ({ type: 'reject' }),
  tempfail: () => ({ type: 'tempfail' }),
  skip: () => ({ type: 'skip' }),
  progress: () => ({ type: 'progress' }),
  shutdown: () => ({ type: 'shutdown' }),
  connectionFailed: () => ({ type: 'connectionFailed' }),
  replyCode: (data) => ({ type: 'replyCode', lines: textIn(data, 'a reply').replaceAll('%%', '%') }),
  addHeader: (data) => ({ type: 'addHeader', ...fieldAt(data, 0) }),
  insertHeader: (data) => ({
    type: 'insertHeader',
    index: uint32At(data, 0, 'a field'),
    ...fieldAt(data, 4),
  }),
  changeHeader: (data) => ({ type: 'changeHeader', nth: uint32At(data, 0, 'a field'), ...fieldAt(data, 4) }),
  changeSender: (data) => {
    const [path, ...more] = stringsIn(data, milterLimits.argumentsMax, 'a sender');
    if (path === undefined) throw new MilterWireError('a change to no sender');
    return { type: 'changeSender', path, ...(more.length > 0 && { arguments: more.join(' ') }) };
  },
  addRecipient: (data) => ({ type: 'addRecipient', path: textIn(data, 'a recipient') }),
  addRecipientWithArguments: (data) => {
    const [path, ...more] = stringsIn(data, milterLimits.argumentsMax, 'a recipient');
    if (path === undefined) throw new MilterWireError('one more recipient without an address');
    return { type: 'addRecipientWithArguments', path, arguments: more.join(' ') };
  },
  deleteRecipient: (data) => ({ type: 'deleteRecipient', path: textIn(data, 'a recipient') }),
  replaceBody: (data) => ({ type: 'replaceBody', chunk: data }),
  quarantine: (data) => ({ type: 'quarantine', reason: textIn(data, 'a reason') }),
};

const typesByLetter = new Map(
  Object.entries(replyLetters).map(([type, letter]) => [letter as string, type as ReplyType]),
);

/** @throws MilterWireError for an unknown letter or data that cannot be read */
export function decodeReply({ letter, data }: Packet): MilterReply {
  const type = typesByLetter.get(letter);
  if (type === undefined) throw new MilterWireError(`no reply has the letter ${JSON.stringify(letter)}`);
  return decoders[type](data);
}

/** A whole body as `replaceBody` replies; an empty one is one empty chunk. */
export function* replacementChunks(body: Uint8Array): Generator<MilterModification> {
  let at = 0;
  do {
    yield { type: 'replaceBody', chunk: body.subarray(at, at + bodyChunkBytes) };
    at += bodyChunkBytes;
  } while (at < body.length);
}

function checkedValue(value: Uint8Array): Uint8Array {
  if (value.includes(0)) throw new MilterWireError('the value of a field holds NUL');
  return value;
}

function checkedChunk(chunk: Uint8Array): Uint8Array {
  if (chunk.length > bodyChunkBytes) throw new MilterWireError(`a chunk of ${chunk.length} octets`);
  return chunk;
}

function textIn(data: Buffer, what: string): string {
  return textOf(stringAt(data, 0, what).value);
}

function fieldAt(data: Buffer, at: number): { name: string; value: Buffer } {
  const name = stringAt(data, at, "a field's name");
  const value = stringAt(data, name.next, "a field's value");
  return { name: textOf(name.value), value: value.value };
}
