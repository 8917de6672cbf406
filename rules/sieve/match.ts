/** Values of the message against keys of the script. RFC 5228 section 2.7. */
import { type Comparator, comparators, defaultComparator } from './comparators.ts';
import type { Offset } from './problems.ts';
import type { Run } from './run.ts';
import type { MatchType, TagSpec } from './spec.ts';
import type { Texts } from './strings.ts';
import { shown } from './text.ts';
import type { Use } from './use.ts';
import type { Values } from './values.ts';
import { matchWildcards, readWildcards } from './wildcards.ts';

/** True where some value matches some key. */
export type Matcher = (run: Run, values: Values) => boolean;

export const matchTypeGroup = 'MATCH-TYPE';

export const comparatorTag: TagSpec = { name: 'comparator', parameter: 'string' };

/** By the tags of a use; `:is` and `i;ascii-casemap` without any. */
export function compileMatch(use: Use, keys: Texts, at: Offset): Matcher {
  const comparator = readComparator(use);
  const type = use.compiler.matchType(use.groups.get(matchTypeGroup) ?? 'is');
  const matcher = type.compile(use, keys, comparator, at);
  return (run, values) => {
    run.count(values.texts.length);
    run.trace?.input('match', `:${type.tag.name}`);
    run.trace?.input('values', values.texts);
    run.trace?.input('keys', keys.values(run));
    return matcher(run, values);
  };
}

function readComparator(use: Use): Comparator {
  if (!use.has('comparator')) return defaultComparator;
  const name = use.tagText('comparator')!.constant;
  if (name === undefined) {
    use.error(
      'this Sieve implementation currently only supports a literal string argument for the :comparator tag',
      use.tagAt('comparator'),
    );
    return defaultComparator;
  }
  const comparator = comparators.get(name);
  if (comparator && use.compiler.hasComparator(name)) return comparator;
  if (comparator && use.compiler.options.strict !== true) {
    const message = `comparator '${name}' is used without require "comparator-${name}"`;
    use.compiler.problems.warning(use.tagAt('comparator'), 'deprecated', message);
    return comparator;
  }
  use.error(`unknown comparator '${shown(name)}'`, use.tagAt('comparator'));
  return defaultComparator;
}

function needSubstrings(use: Use, comparator: Comparator, tag: string): void {
  if (comparator.substring) return;
  use.error(
    `the specified ${comparator.name} comparator does not support sub-string matching as required by the :${tag} match type`,
  );
}

/** Keys in the form of a comparator: once where they are constant. */
export function foldedKeys(keys: Texts, comparator: Comparator): (run: Run) => readonly string[] {
  const fold = (texts: readonly string[]) => texts.map((text) => comparator.fold(text));
  if (!keys.constant) return (run) => fold(keys.values(run));
  const folded = fold(keys.constant);
  return () => folded;
}

const is: MatchType = {
  tag: { name: 'is', group: matchTypeGroup },
  compile(_use, keys, comparator) {
    const folded = foldedKeys(keys, comparator);
    const constant = keys.constant ? new Set(folded(undefined as never)) : undefined;
    return (run, values) => {
      const set = constant ?? folded(run);
      for (const text of values.folded(comparator)) {
        if ('has' in set ? set.has(text) : set.includes(text)) return true;
      }
      return false;
    };
  },
};

const contains: MatchType = {
  tag: { name: 'contains', group: matchTypeGroup },
  compile(use, keys, comparator) {
    needSubstrings(use, comparator, 'contains');
    const folded = foldedKeys(keys, comparator);
    return (run, values) => {
      const wanted = folded(run);
      for (const text of values.folded(comparator)) {
        run.countOctets(text.length * wanted.length);
        for (const key of wanted) if (text.includes(key)) return true;
      }
      return false;
    };
  },
};

const matches: MatchType = {
  tag: { name: 'matches', group: matchTypeGroup },
  compile(use, keys, comparator) {
    needSubstrings(use, comparator, 'matches');
    const read = (texts: readonly string[]) => texts.map((text) => readWildcards(comparator.fold(text)));
    const constant = keys.constant && read(keys.constant);
    const captures = use.captures && use.compiler.uses('variables');
    return (run, values) => {
      const patterns = constant ?? read(keys.values(run));
      const folded = values.folded(comparator);
      for (const [index, text] of folded.entries()) {
        for (const pattern of patterns) {
          run.countOctets(text.length);
          const spans = matchWildcards(pattern, text);
          if (!spans) continue;
          if (captures) run.setMatchValues(() => capturesOf(values.texts[index]!, text, spans, comparator));
          return true;
        }
      }
      return false;
    };
  },
};

/** The folded text has the same units as the text, or the captures are found by folding character by character. */
function capturesOf(
  text: string,
  folded: string,
  spans: readonly number[],
  comparator: Comparator,
): string[] {
  const offset = text.length === folded.length ? (at: number) => at : offsetsOf(text, comparator);
  const captures = [text];
  for (let at = 0; at < spans.length; at += 2)
    captures.push(text.slice(offset(spans[at]!), offset(spans[at + 1]!)));
  return captures;
}

function offsetsOf(text: string, comparator: Comparator): (folded: number) => number {
  const map: number[] = [];
  let at = 0;
  for (const character of text) {
    for (let unit = comparator.fold(character).length; unit > 0; unit--) map.push(at);
    at += character.length;
  }
  return (folded) => map[folded] ?? text.length;
}

export const baseMatchTypes: readonly MatchType[] = [is, contains, matches];
