/** From a probability to the symbols that readers of SpamAssassin's headers know, with points of our own. */
import type { ScoredSymbol } from 'mailfilter/plugin';

/** From that probability on, upwards. One sure judgement is enough for Junk (5) and never for a refusal (15). */
const bands: readonly { readonly from: number; readonly name: string; readonly score: number }[] = [
  { from: 0.999, name: 'BAYES_999', score: 5.5 },
  { from: 0.99, name: 'BAYES_99', score: 5 },
  { from: 0.95, name: 'BAYES_95', score: 5 },
  { from: 0.8, name: 'BAYES_80', score: 4 },
  { from: 0.6, name: 'BAYES_60', score: 3 },
  { from: 0.4, name: 'BAYES_50', score: 0 },
  { from: 0.2, name: 'BAYES_40', score: 0 },
  { from: 0.05, name: 'BAYES_20', score: -0.5 },
  { from: 0.01, name: 'BAYES_05', score: -1 },
  { from: 0, name: 'BAYES_00', score: -2 },
];

/** @param factor what the points are multiplied with */
export function symbolOf(probability: number, factor: number): ScoredSymbol {
  const { name, score } = bands.find(({ from }) => probability >= from) ?? bands.at(-1)!;
  return { name, score: score * factor + 0 };
}
