/** Teaches the Bayes classifier one message or thousands, and counts what came of them. */
import { describeError } from '../../core/base/errors.ts';
import type { Limits } from '../../core/base/limits/settings.ts';
import { openMessage } from '../../core/mail/open-message.ts';
import type { Kind, Lesson } from '../../rules/bayes/memory.ts';
import { tokensOf } from '../../rules/bayes/tokens.ts';
import type { FoundMessage } from './message-files.ts';
import { inMemory } from './read-message.ts';

export interface Tally {
  messages: number;
  /** Of them, those that changed something. */
  learnt: number;
  /** Of those learnt, the ones that were learnt as the other kind before. */
  corrected: number;
  /** They were learnt as that kind before. */
  known: number;
  /** Too large or too broken: where, and why. */
  readonly unreadable: { readonly name: string; readonly reason: string }[];
  /** For undo; absent where several were taught. */
  id?: string;
  tokens?: number;
}

export interface Lessons {
  readonly limits: Limits;
  learn(tokens: readonly string[]): Promise<Lesson>;
}

/** Under way at once: the reading of one goes on while another is written down. */
const lessonsAtOnce = 8;

export async function teachAll(messages: Iterable<FoundMessage>, lessons: Lessons): Promise<Tally> {
  const tally: Tally = { messages: 0, learnt: 0, corrected: 0, known: 0, unreadable: [] };
  const left = messages[Symbol.iterator]();
  const take = async () => {
    for (let next = left.next(); !next.done; next = left.next()) {
      await teachOne(next.value, lessons, tally);
    }
  };
  await Promise.all(Array.from({ length: lessonsAtOnce }, take));
  if (tally.messages !== 1) {
    delete tally.id;
    delete tally.tokens;
  }
  return tally;
}

async function teachOne({ name, octets }: FoundMessage, { limits, learn }: Lessons, tally: Tally) {
  tally.messages += 1;
  const tokens = await readTokens(octets, limits);
  if (typeof tokens === 'string') {
    tally.unreadable.push({ name, reason: tokens });
    return;
  }
  const { id, learnt, corrected } = await learn(tokens);
  tally.id = id;
  tally.tokens = tokens.length;
  if (learnt) tally.learnt += 1;
  else tally.known += 1;
  if (corrected) tally.corrected += 1;
}

/** @returns tokens, or why there are none */
export async function readTokens(octets: Buffer, limits: Limits): Promise<string[] | string> {
  if (octets.length > limits.messageBytesMax)
    return `larger than messageBytesMax (${limits.messageBytesMax})`;
  try {
    const tokens = await tokensOf(openMessage(inMemory(octets), [], { limits }));
    return tokens ?? 'too large or too broken to be read';
  } catch (error) {
    // Of a header past the limits; a server would have refused the message.
    return describeError(error);
  }
}

/** One line for people. */
export function tell({ messages, learnt, corrected, known, id, tokens }: Tally, kind: Kind): string {
  if (id !== undefined) {
    const before = corrected > 0 ? ', which it was not before' : '';
    return `${id} ${learnt > 0 ? `learnt as ${kind}${before}` : `was learnt as ${kind} before`}: ${tokens} tokens\n`;
  }
  const other = kind === 'ham' ? 'spam' : 'ham';
  const notes = [
    ...(corrected > 0 ? [`${corrected} of them ${other} before`] : []),
    ...(known > 0 ? [`${known} known before`] : []),
  ];
  return `${[`${messages} messages: ${learnt} learnt as ${kind}`, ...notes].join(', ')}\n`;
}
