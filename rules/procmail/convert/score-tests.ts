/** Weighted conditions as tests, where each adds its weight or nothing: the sums that are above zero, as ways to get there. procmailsc(5). */
import { scoreMax } from '../conditions.ts';
import { CannotConvert } from './cannot-convert.ts';
import { allOf, anyOf, negated, type Test } from './sieve-text.ts';

export interface WeightedTest {
  readonly test: Test;
  readonly weight: number;
  /** The second number: what a further match counts of the one before it. */
  readonly exponent: number;
}

/** Each one more doubles the sums. */
const conditionsMax = 10;
/** Ways that a person still reads. */
const waysMax = 24;

/** @throws CannotConvert where the sum depends on how often something is found, or there are too many ways */
export function scoreTest(conditions: readonly WeightedTest[]): Test {
  const allPositive = conditions.every(({ weight, exponent }) => weight > 0 && exponent >= 0);
  if (allPositive) return anyOf(conditions.map(({ test }) => test));
  if (conditions.some(({ exponent }) => exponent !== 0))
    throw new CannotConvert('its score depends on how often something is found');
  if (conditions.length > conditionsMax) throw new CannotConvert('it adds up too many weights');
  const ways = leastWays(conditions);
  if (ways.length > waysMax) throw new CannotConvert(`its score has ${ways.length} ways to be above zero`);
  return anyOf(ways.map((way) => allOf(literals(conditions).filter((_, at) => (way >> at) & 1))));
}

/** What helps: a condition with a weight above zero that holds, one below zero that does not. */
function literals(conditions: readonly WeightedTest[]): Test[] {
  return conditions.map(({ test, weight }) => (weight < 0 ? negated(test) : test));
}

/** Sets of helping conditions, a bit each, that suffice, and no part of which does. */
function leastWays(conditions: readonly WeightedTest[]): number[] {
  const least: number[] = [];
  const sets = Array.from({ length: 1 << conditions.length }, (_, set) => set);
  for (const set of sets.sort((one, other) => bits(one) - bits(other))) {
    if (least.some((way) => (way & set) === way)) continue;
    if (isAboveZero(conditions, set)) least.push(set);
  }
  return least;
}

/** The sum in procmail's order: past plus infinity nothing is counted, minus infinity ends it. */
function isAboveZero(conditions: readonly WeightedTest[], helping: number): boolean {
  let score = 0;
  for (const [at, { weight }] of conditions.entries()) {
    if (score >= scoreMax) break;
    const holds = ((helping >> at) & 1) === 1 ? weight > 0 : weight < 0;
    if (holds) score = Math.max(-scoreMax, Math.min(scoreMax, score + weight));
    if (score <= -scoreMax) return false;
  }
  return score > 0;
}

function bits(set: number): number {
  return set.toString(2).replaceAll('0', '').length;
}
