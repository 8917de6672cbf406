/** The comparators as names to require. RFC 5228 section 2.7.3, RFC 5051. */
import { comparators, comparatorsAlwaysThere } from '../comparators.ts';
import type { Extension } from '../spec.ts';

export const comparatorExtensions: readonly Extension[] = [...comparators.keys()].map((name) => ({
  name: `comparator-${name}`,
  silent: comparatorsAlwaysThere.has(name),
}));
