/**
 * How likely a message is spam by its tokens: Robinson's f(w) for each, Fisher's chi-squared method to combine them.
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
const strength = 0.1;
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

function combine(probabilities: readonly number[]): number {
  if (probabilities.length === 0) return 0.5;
  let logSpam = 0;
  let logHam = 0;
  for (const probability of probabilities) {
    logSpam += Math.log(1 - probability);
    logHam += Math.log(probability);
  }
  const degrees = 2 * probabilities.length;
  const spam = 1 - chiSquared(-2 * logSpam, degrees);
  const ham = 1 - chiSquared(-2 * logHam, degrees);
  return (1 + spam - ham) / 2;
}

/** The chance that chi-squared with that many degrees of freedom, an even number, is `value` or more. */
export function chiSquared(value: number, degrees: number): number {
  const half = value / 2;
  // In logarithms: exp(-half) alone is 0 for a long message.
  let logTerm = -half;
  let sum = Math.exp(logTerm);
  for (let i = 1; i < degrees / 2; i++) {
    logTerm += Math.log(half / i);
    sum += Math.exp(logTerm);
  }
  return Math.min(1, sum);
}
