/** Collects the errors and warnings of one compilation. */
import type { Place, Problem, WarningCode } from './problem.ts';

/** Where something begins in the source, as an offset in UTF-16 units. */
export type Offset = number;

/** Thrown where going on makes no sense: too many errors. */
export class TooManyProblems extends Error {}

export class Problems {
  readonly errors: Problem[] = [];
  readonly warnings: Problem[] = [];
  readonly #lineStarts: number[] = [0];
  readonly #max: number;
  readonly #once = new Set<string>();

  constructor(source: string, max: number) {
    this.#max = max;
    for (let at = source.indexOf('\n'); at >= 0; at = source.indexOf('\n', at + 1))
      this.#lineStarts.push(at + 1);
  }

  error(at: Offset, message: string, expected?: string): void {
    this.errors.push({
      severity: 'error',
      ...this.place(at),
      message,
      ...(expected === undefined ? {} : { expected }),
    });
    if (this.errors.length >= this.#max) throw new TooManyProblems(message);
  }

  /** Reports the first of several errors that share a key. */
  errorOnce(key: string, at: Offset, message: string): void {
    if (this.#once.has(key)) {
      // Not said again, and an error all the same: the first one makes the compilation fail.
      return;
    }
    this.#once.add(key);
    this.error(at, message);
  }

  warning(at: Offset, code: WarningCode, message: string): void {
    if (this.warnings.length < this.#max)
      this.warnings.push({ severity: 'warning', code, ...this.place(at), message });
  }

  /** Problems of an included script, under its own name. */
  adopt(script: string, problems: readonly Problem[]): void {
    for (const problem of problems) {
      if (this.errors.length < this.#max) this.errors.push({ script, ...problem });
    }
  }

  place(at: Offset): Place {
    let low = 0;
    let high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#lineStarts[middle]! <= at) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: at - this.#lineStarts[low]! + 1 };
  }
}
