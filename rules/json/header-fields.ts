/** The header fields of a message while rules change them: each change is answered as the edits that make it. */
import type { Edit } from '../../core/mail/edit.ts';
import { addHeader, changeHeader, deleteHeader, insertHeader } from '../../core/mail/edits.ts';

export interface Field {
  readonly name: string;
  readonly value: string;
}

export class HeaderFields {
  #fields: Field[];
  readonly edits: Edit[] = [];

  constructor(fields: Iterable<Field>) {
    this.#fields = [...fields];
  }

  all(name: string): string[] {
    return this.#fields.filter((field) => sameName(field.name, name)).map((field) => field.value);
  }

  add(name: string, value: string): void {
    this.edits.push(addHeader(name, value));
    this.#fields.push({ name, value });
  }

  /** At the very top, where trace fields belong. */
  insert(name: string, value: string): void {
    this.edits.push(insertHeader(0, name, value));
    this.#fields.unshift({ name, value });
  }

  /** One field of that name with this value: the first keeps its place, others go, none is made. */
  set(name: string, value: string): void {
    if (this.all(name).length > singlyDeletedMax) {
      this.delete(name);
      this.add(name, value);
      return;
    }
    this.#deleteWhere(name, (_, nth) => nth > 1);
    this.edits.push(changeHeader(name, 1, value));
    const at = this.#fields.findIndex((field) => sameName(field.name, name));
    if (at < 0) this.#fields.push({ name, value });
    else this.#fields[at] = { name: this.#fields[at]!.name, value };
  }

  /** Fields of that name, those alone whose value is doomed where a test is given. */
  delete(name: string, doomed?: (value: string) => boolean): void {
    if (doomed) this.#deleteWhere(name, doomed);
    else if (this.all(name).length > 0) {
      this.edits.push(deleteHeader(name, 'all'));
      this.#fields = this.#fields.filter((field) => !sameName(field.name, name));
    }
  }

  /** All fields of a name go on, in their order, under another name at the end of the header. */
  rename(name: string, to: string): void {
    const values = this.all(name);
    this.delete(name);
    for (const value of values) this.add(to, value);
  }

  #deleteWhere(name: string, doomed: (value: string, nth: number) => boolean): void {
    const nths: number[] = [];
    let nth = 0;
    this.#fields = this.#fields.filter((field) => {
      if (!sameName(field.name, name)) return true;
      nth += 1;
      if (!doomed(field.value, nth)) return true;
      nths.push(nth);
      return false;
    });
    // From the last to the first, so that the numbers of those still to go stay right.
    this.edits.push(...nths.toReversed().map((each) => deleteHeader(name, each)));
  }
}

/** No honest message has so many fields of one name; past it they go in one edit, and the place of the first with them. */
const singlyDeletedMax = 200;

function sameName(left: string, right: string): boolean {
  return left.toLowerCase() === right.toLowerCase();
}
