/** `:value` and `:count`. RFC 5231. */
import type { Comparator } from '../comparators.ts';
import { foldedKeys, matchTypeGroup } from '../match.ts';
import type { Extension, MatchType, TagSpec } from '../spec.ts';
import { shown } from '../text.ts';
import type { Use } from '../use.ts';

type Relation = (order: number) => boolean;

const relations: ReadonlyMap<string, Relation> = new Map<string, Relation>([
  ['gt', (order) => order > 0],
  ['ge', (order) => order >= 0],
  ['lt', (order) => order < 0],
  ['le', (order) => order <= 0],
  ['eq', (order) => order === 0],
  ['ne', (order) => order !== 0],
]);

const read =
  (name: string): TagSpec['read'] =>
  (use, next) => {
    const text = next?.type === 'string' ? next.text.toLowerCase() : undefined;
    if (text !== undefined && relations.has(text)) return 'taken';
    const found = next?.type === 'string' ? `"${shown(next.text)}"` : 'none';
    use.error(
      `the :${name} match-type requires a constant string argument being one of "gt", "ge", "lt", "le", "eq" or "ne", but ${found} was found`,
      next?.at ?? use.node.at,
    );
    return 'wrong';
  };

function relationOf(use: Use, tag: string): Relation {
  const argument = use.tags.get(tag);
  return relations.get(argument?.type === 'string' ? argument.text.toLowerCase() : '')!;
}

function holds(comparator: Comparator, relation: Relation, text: string, keys: readonly string[]): boolean {
  return keys.some((key) => relation(comparator.order(text, key)));
}

const value: MatchType = {
  tag: { name: 'value', group: matchTypeGroup, read: read('value') },
  compile(use, keys, comparator) {
    const relation = relationOf(use, 'value');
    const folded = foldedKeys(keys, comparator);
    return (run, values) => {
      const wanted = folded(run);
      return values.folded(comparator).some((text) => holds(comparator, relation, text, wanted));
    };
  },
};

const count: MatchType = {
  tag: { name: 'count', group: matchTypeGroup, read: read('count') },
  compile(use, keys, comparator) {
    const relation = relationOf(use, 'count');
    const folded = foldedKeys(keys, comparator);
    return (run, values) =>
      holds(comparator, relation, comparator.fold(String(values.texts.length)), folded(run));
  },
};

export const relational: Extension = { name: 'relational', matchTypes: [value, count] };
