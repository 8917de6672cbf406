/** The header block as plugins see it: names without case, values as text, copies of the octets. */
import type { EditedHeader, HeaderItem } from './apply-edits.ts';
import { decodeWords } from './encoded-word.ts';
import { fieldName, fieldValue } from './header.ts';
import type { HeaderField, Headers } from './message.ts';

export class HeaderView implements Headers {
  readonly #header: EditedHeader;

  constructor(header: EditedHeader) {
    this.#header = header;
  }

  get count(): number {
    let count = 0;
    for (const item of this.#header.items) if (this.#header.isField(item)) count++;
    return count;
  }

  get(name: string): string | undefined {
    const lowerName = name.toLowerCase();
    const item = this.#header.items.find((candidate) => this.#header.isNamed(candidate, lowerName));
    return item === undefined ? undefined : this.#value(item);
  }

  all(name: string): string[] {
    const lowerName = name.toLowerCase();
    return this.#header.items
      .filter((item) => this.#header.isNamed(item, lowerName))
      .map((item) => this.#value(item));
  }

  has(name: string): boolean {
    const lowerName = name.toLowerCase();
    return this.#header.items.some((item) => this.#header.isNamed(item, lowerName));
  }

  decoded(name: string): string | undefined {
    const value = this.get(name);
    return value === undefined ? undefined : decodeWords(value);
  }

  *[Symbol.iterator](): Iterator<HeaderField> {
    for (const item of this.#header.items) {
      if (!this.#header.isField(item)) continue;
      const raw = this.#header.itemBytes(item);
      yield { name: fieldName(raw), value: fieldValue(raw), raw: new Uint8Array(raw) };
    }
  }

  #value(item: HeaderItem): string {
    return fieldValue(this.#header.itemBytes(item));
  }
}
