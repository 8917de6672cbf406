/** What scanners before us found, in the words of spamtest and virustest. RFC 5235. */
import type { DeliverInput, Json } from 'mailfilter/plugin';

/** Percent of certainty: `scoreMax` SpamAssassin points are 100; undefined where nothing scored. */
export function spamPercent({ score, symbols }: DeliverInput, scoreMax: number): number | undefined {
  if (score === 0 && symbols.length === 0) return undefined;
  return Math.min(100, Math.max(0, (100 * score) / scoreMax));
}

/** 1: looked at and clean; 5: infected; undefined where no scanner left a result. */
export function virusLevel({ results }: DeliverInput): number | undefined {
  const found = factOf(results.clamav, 'infected');
  return found === undefined ? undefined : found ? 5 : 1;
}

function factOf(result: Json | undefined, name: string): boolean | undefined {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) return undefined;
  const fact = (result as Readonly<Record<string, Json>>)[name];
  return typeof fact === 'boolean' ? fact : undefined;
}
