/** From fates to a keeper: who is to get the message goes on with it, what stays with us (held, refused late) into our journal. */
import type { RecipientId } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import { settleInput } from './conclude.ts';
import type { Fates } from './fates.ts';
import type { Keeper } from './keeper.ts';
import { makePlan } from './plan.ts';
import type { SpooledMessage } from './session.ts';
import { type Outcome, type Settlement, settle } from './settle.ts';
import type { Transaction } from './transaction.ts';

/**
 * The keeper is asked first and our own share is written after: when that fails, the client sends all of it again,
 * which is mail twice for some and never mail lost. Rejects when nothing of ours was accepted.
 * @param spooled released, once nothing needs it any more
 */
export async function handOver(
  transaction: Transaction,
  keeper: Keeper,
  fates: Fates,
  source: MessageSource,
  spooled: SpooledMessage,
): Promise<Settlement> {
  const input = settleInput(transaction, fates);
  const wanted = settle(input);
  const answers = await askKeeper(transaction, keeper, wanted.outcomes, source, spooled.binary === true);
  const settlement = settle({ ...input, fates: afterAnswers(fates, answers) });
  await keepOurShare(transaction, keeper, settlement.outcomes, source, spooled);
  return { ...settlement, replies: inKeepersWords(settlement.replies, answers) };
}

type Answers = ReadonlyMap<RecipientId, Reply>;

async function askKeeper(
  { id, connection, session, envelope, state }: Transaction,
  keeper: Keeper,
  outcomes: ReadonlyMap<RecipientId, Outcome>,
  source: MessageSource,
  binary: boolean,
): Promise<Answers> {
  const recipients = envelope.recipients.filter(({ id }) => outcomes.get(id)?.kind === 'deliver');
  const { edits, recipientEdits } = state;
  const facts = { id, connection, session, envelope, source, binary, edits, recipientEdits };
  // A milter has to hear of a discard and a quarantine as well; whoever is refused here was answered for already.
  if (outcomes.size === 0) return new Map();
  return keeper.keep({ ...facts, recipients, outcomes });
}

/** A keeper's no speaks as our own would. */
function afterAnswers(fates: Fates, answers: Answers): Fates {
  const after: Fates = new Map(fates);
  for (const [id, reply] of answers) {
    if (reply.code >= 500) after.set(id, { kind: 'refuse', reply });
    else if (reply.code >= 400) after.set(id, { kind: 'defer', by: 'message', reply });
  }
  return after;
}

/** What waits for an operator or a report is ours: on disk before the answer, as everything that we promise. */
async function keepOurShare(
  transaction: Transaction,
  keeper: Keeper,
  outcomes: ReadonlyMap<RecipientId, Outcome>,
  source: MessageSource,
  spooled: SpooledMessage,
): Promise<void> {
  const theirs = new Set<Outcome['kind']>(['deliver', 'same', ...(keeper.holds ? ['hold' as const] : [])]);
  const ours = new Map([...outcomes].filter(([, { kind }]) => !theirs.has(kind)));
  const accepted = makePlan(transaction, ours, source);
  if (accepted) await transaction.house.accept({ accepted, source, spooled, repeated: false });
  else spooled.release();
}

/** Whoever reads the client's log finds the message at the keeper by the keeper's own words. */
function inKeepersWords(replies: readonly Reply[], answers: Answers): Reply[] {
  const words = [...answers.values()].filter(({ code }) => code < 300);
  let next = 0;
  return replies.map((reply) => {
    if (reply.code >= 300 || words.length === 0) return reply;
    const own = words[Math.min(next, words.length - 1)]!;
    next += 1;
    return own;
  });
}
