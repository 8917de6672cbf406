/** Names of header fields in arguments. RFC 5228 section 2.4.2.2. */
import type { Run } from './run.ts';
import type { Texts } from './strings.ts';
import { shown } from './text.ts';
import type { Use } from './use.ts';

/** RFC 5322 section 2.2. */
const fieldName = /^[\x21-\x39\x3b-\x7e]+$/;

export function isHeaderName(name: string): boolean {
  return fieldName.test(name);
}

/** The names of a list argument in lower case; what can be no name is warned of and matches nothing. */
export function headerNames(use: Use, index: number): (run: Run) => readonly string[] {
  const names: Texts = use.texts(index);
  const lower = (list: readonly string[]) => list.filter(isHeaderName).map((name) => name.toLowerCase());
  if (!names.constant) return (run) => lower(names.values(run));
  for (const name of names.constant) {
    if (isHeaderName(name)) continue;
    use.compiler.problems.warning(
      use.at(index),
      'invalid-header-name',
      `specified header field name '${shown(name)}' is invalid`,
    );
  }
  const constant = use.compiler.shared(lower(names.constant));
  return () => constant;
}
