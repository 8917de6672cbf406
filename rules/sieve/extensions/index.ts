/** `:index` and `:last`: one field among several of a name. RFC 5260 section 6. */
import type { Extension, TagSpec } from '../spec.ts';
import type { Use } from '../use.ts';

const tags: readonly TagSpec[] = [{ name: 'index', parameter: 'number' }, { name: 'last' }];

/** Picks from the fields of a name; undefined where all of them count. */
export function indexChoice(use: Use): (<T>(all: readonly T[]) => readonly T[]) | undefined {
  const nth = use.tagNumber('index');
  const last = use.has('last');
  if (nth === undefined) {
    if (last && use.compiler.uses('index') && !use.has('index'))
      use.error(`the :last tag for the ${use.title} cannot be specified without the :index tag`);
    return undefined;
  }
  if (nth === 0) use.error(`the :index tag for the ${use.title} cannot be zero`, use.tagAt('index'));
  return (all) => {
    const index = last ? all.length - nth : nth - 1;
    return index >= 0 && index < all.length ? [all[index]!] : [];
  };
}

export const index: Extension = {
  name: 'index',
  tags: { header: tags, address: tags, date: tags },
};
export const indexTags = tags;
