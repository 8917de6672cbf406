/**
 * How likely a message is spam by its tokens: Robinson's f(w) for each, the sum of their log-odds over the root of their
 * number for all (Stouffer's way to combine what is not quite independent).
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

/** Robinson's s: how much what was never seen weighs, and x: what is believed of it. */
const strength = 0.3;
const unknown = 0.5;
/** Tokens nearer to 0.5 say nothing. */
const indifference = 0.1;

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
  const seen = spam + ham;
  if (seen <= 0) return unknown;
  const inSpam = Math.min(1, spam / taught.spam);
  const inHam = Math.min(1, ham / taught.ham);
  return (strength * unknown + seen * (inSpam / (inSpam + inHam))) / (strength + seen);
}

/**
 * Robinson joins them with Fisher's chi-squared method. It sorts mail as well, but where a message has clues of both kinds,
 * as most have, it stays near 0.5, and thresholds catch less: plugins/bayes/README.md has the figures.
 */
function combine(probabilities: readonly number[]): number {
  if (probabilities.length === 0) return 0.5;
  let sum = 0;
  for (const probability of probabilities) sum += Math.log(probability / (1 - probability));
  return 1 / (1 + Math.exp(-sum / Math.sqrt(probabilities.length)));
}
