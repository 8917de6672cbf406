/** Texts that a test looks at, with the forms in which they are compared, each made once. */
import type { Comparator } from './comparators.ts';

export class Values {
  readonly texts: readonly string[];
  readonly #parts: readonly Values[];
  readonly #folded = new Map<string, readonly string[]>();
  #last: { readonly comparator: Comparator; readonly folded: readonly string[] } | undefined;

  constructor(texts: readonly string[], parts: readonly Values[] = []) {
    this.texts = texts;
    this.#parts = parts;
  }

  /** Several as one, with the folded forms that they have. */
  static join(parts: readonly Values[]): Values {
    if (parts.length === 1) return parts[0]!;
    const some = parts.filter((part) => part.texts.length > 0);
    if (some.length < 2) return some[0] ?? noValues;
    return new Values(
      some.flatMap((part) => part.texts),
      some,
    );
  }

  /** In the form of a comparator, in the same order. */
  folded(comparator: Comparator): readonly string[] {
    // Nearly all rules of a script compare alike.
    if (this.#last?.comparator === comparator) return this.#last.folded;
    const folded = this.#foldedBy(comparator);
    this.#last = { comparator, folded };
    return folded;
  }

  #foldedBy(comparator: Comparator): readonly string[] {
    const known = this.#folded.get(comparator.name);
    if (known) return known;
    const folded =
      this.#parts.length > 0
        ? this.#parts.flatMap((part) => part.folded(comparator))
        : this.texts.map((text) => comparator.fold(text));
    this.#folded.set(comparator.name, folded);
    return folded;
  }
}

export const noValues = new Values([]);
