/**
 * How likely a message is spam by its tokens: Robinson's p(w) of smoothed rates for each, Fisher's chi-squared method to
 * combine them.
 * G. Robinson, "A Statistical Approach to the Spam Problem", Linux Journal 107 (2003).
 */
import { bayesLimits } from '../../core/base/limits/filters.ts';

/** How many messages, or how many that hold a token, were taught as what. */
export interface Counts {
  readonly spam: number;
  readonly ham: number;
}

/** A token that had a say. */
export interface Clue {
  readonly token: string;
  /** 0 for ham to 1 for spam. */
  readonly probability: number;
  readonly counts: Counts;
}

export interface Judgement {
  /** 0 for ham to 1 for spam; 0.5 where nothing speaks. */
  readonly probability: number;
  /** The strongest first. */
  readonly clues: readonly Clue[];
}

/**
 * So many messages of each kind are taken to have held a token before any was seen. Added to the counts and not, as
 * Robinson's f(w) has it, to the probability: a token of one ham among two thousand says less than one of one spam among
 * four hundred, for it is less surprising that the few spam had none of it.
 */
const seenBefore = 0.01;
/** Tokens nearer to 0.5 say nothing. */
const indifference = 0.25;

/** @param taught messages of each kind, above 0 */
export function classify(taught: Counts, tokens: ReadonlyMap<string, Counts>): Judgement {
  const clues: Clue[] = [];
  for (const [token, counts] of tokens) {
    const probability = probabilityOf(counts, taught);
    if (Math.abs(probability - 0.5) >= indifference) clues.push({ token, probability, counts });
  }
  clues.sort((one, other) => Math.abs(other.probability - 0.5) - Math.abs(one.probability - 0.5));
  clues.length = Math.min(clues.length, bayesLimits.cluesMax);
  return { probability: combine(clues.map(({ probability }) => probability)), clues };
}

function probabilityOf({ spam, ham }: Counts, taught: Counts): number {
  if (spam + ham <= 0) return 0.5;
  const inSpam = rateOf(spam, taught.spam);
  return inSpam / (inSpam + rateOf(ham, taught.ham));
}

/** At most 1: two programs that teach at once may count a token before the lesson it is of. */
function rateOf(count: number, taught: number): number {
  return Math.min(1, (count + seenBefore) / (taught + 2 * seenBefore));
}

function combine(probabilities: readonly number[]): number {
  if (probabilities.length === 0) return 0.5;
  let logSpam = 0;
  let logHam = 0;
  for (const probability of probabilities) {
    logSpam += Math.log(1 - probability);
    logHam += Math.log(probability);
  }
  const degrees = 2 * probabilities.length;
  const notSpam = logChiSquared(-2 * logSpam, degrees);
  const notHam = logChiSquared(-2 * logHam, degrees);
  const fisher = (1 + Math.exp(notHam) - Math.exp(notSpam)) / 2;
  // A message with strong clues of both kinds is as little the one as the other by chance, and Fisher calls it 0.5. What
  // leans to spam is told by how much the one is less likely than the other; what leans to ham is sorted better as it is.
  const lean = notHam - notSpam;
  return lean > 0 ? Math.max(fisher, 1 / (1 + Math.exp(-leanWeight * lean))) : fisher;
}

/** Clues are not independent: by far not as sure as their number would make it. */
const leanWeight = 0.2;

/** The logarithm of the chance that chi-squared with that many degrees of freedom, an even number, is `value` or more. */
export function logChiSquared(value: number, degrees: number): number {
  const half = value / 2;
  // In logarithms: exp(-half) alone is 0 for a long message.
  const logTerms = [0];
  for (let i = 1; i < degrees / 2; i++) logTerms.push(logTerms[i - 1]! + Math.log(half / i));
  const largest = logTerms.reduce((one, other) => Math.max(one, other));
  const sum = logTerms.reduce((before, term) => before + Math.exp(term - largest), 0);
  return Math.min(0, largest - half + Math.log(sum));
}
