/** Recipes that refer to the one before them (A, a, E, e): which belong together, and why one cannot follow. procmailrc(5). */
import type { Item, Recipe } from '../rcfile.ts';
import type { Branch } from './script-lines.ts';

/** The recipes directly behind that refer to the one before them. */
export function following(items: readonly Item[], from: number): Recipe[] {
  const found: Recipe[] = [];
  for (const item of items.slice(from)) {
    if (item.kind !== 'recipe' || refersBack(item) === undefined) break;
    found.push(item);
  }
  return found;
}

export function refersBack({ flags }: Recipe): string | undefined {
  return ['A', 'a', 'E', 'e'].some((flag) => flags.has(flag))
    ? 'the recipe that it refers to does not stand directly before it'
    : undefined;
}

export function dependsOn({ line }: Recipe): string {
  return `it depends on the recipe of line ${line}`;
}

/** Undefined where the first recipe of a block or file may be run as if it referred to nothing. */
export function startsChain({ flags }: Recipe, chained: boolean): string | undefined {
  const wants = flags.has('A') || flags.has('a');
  if (wants && !chained) return 'there is no recipe before it that it could refer to';
  if ((flags.has('E') && chained) || flags.has('e'))
    return 'it is never run: it stands first, and asks for what came before';
  return undefined;
}

/** A phrase where a recipe cannot be told from what the one before it did. */
export function cannotFollow(
  { flags }: Recipe,
  last: Branch,
  conditional: boolean,
  afterKept: boolean,
): string | undefined {
  if (afterKept) return 'a recipe before it, which it depends on, is kept as a comment';
  if (flags.has('e')) return 'it is run where an action failed; a Sieve script ends there';
  const isAnd = flags.has('A') || flags.has('a');
  if (isAnd && flags.has('E')) return 'it asks for the recipe before in two ways';
  if (isAnd && last.ended) return `it is run only where the delivery of line ${last.line} failed`;
  if (!isAnd && conditional) return 'it depends on conditions of several recipes before it';
  if (!isAnd && last.test.kind === 'constant' && last.test.holds) return 'it is never run';
  return undefined;
}
