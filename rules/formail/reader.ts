/** Octets as they come, by lines: asks for more when it needs them. */
import { formailLimits } from '../../core/base/limits/rules.ts';

/** A line or a header that is longer than memory should hold. */
export class FormailError extends Error {}

/** A step of the reader: it is told the next octets, one a character; undefined at the end. */
export type Reading<Result> = Generator<{ readonly type: 'read' }, Result, { readonly text?: string }>;

export class Reader {
  #text = '';
  #at = 0;
  #ended = false;
  /** How far a line end was looked for. */
  #scanned = 0;

  /** The next octet, which stays; '' at the end. */
  *peek(): Reading<string> {
    while (this.#at >= this.#text.length && !this.#ended) yield* this.#more();
    return this.#text[this.#at] ?? '';
  }

  /** The next line; with its line end, also where the input has none. At the end of the input an empty one. */
  *line(): Reading<string> {
    for (;;) {
      const end = this.#text.indexOf('\n', Math.max(this.#at, this.#scanned));
      if (end >= 0) return this.#take(end + 1);
      this.#scanned = this.#text.length;
      if (this.#ended) return `${this.#take(this.#text.length)}\n`;
      yield* this.#more();
    }
  }

  /** As many octets as are there, no more than asked for; '' at the end. */
  *octets(countMax: number): Reading<string> {
    yield* this.peek();
    return this.#take(Math.min(this.#at + countMax, this.#text.length));
  }

  #take(end: number): string {
    const taken = this.#text.slice(this.#at, end);
    this.#at = end;
    return taken;
  }

  *#more(): Reading<void> {
    const { text } = yield { type: 'read' };
    if (text === undefined) {
      this.#ended = true;
      return;
    }
    const kept = this.#text.length - this.#at;
    if (kept > formailLimits.heldBytesMax) throw new FormailError('a line is too long');
    this.#text = this.#text.slice(this.#at) + text;
    this.#scanned = Math.max(0, this.#scanned - this.#at);
    this.#at = 0;
  }
}
