/** Header fields as formail(1) sees them: text with a name that ends at its colon, a From_ line among them. */

/** Text of the line that parts mails of an mbox, up to its address. */
export const fromName = 'From ';

export interface Field {
  /** The whole of it, name, folds and last line end. */
  text: string;
  /** Characters of the name, colon included; of a part of a name all of it. */
  nameLength: number;
}

/** A field the command line speaks of; without a value its text is the name and a line end. */
export function newField(text: string): Field {
  return { text, nameLength: Math.abs(nameLengthOf(text)) };
}

/**
 * Where the name of a field ends.
 *
 * @returns past the colon (RFC 5322 section 2.2; blanks before the colon are part of it), or of `From `; where the text
 *   is no field, what could have been a name, negative
 */
export function nameLengthOf(text: string): number {
  const name = /^[^\x00-\x20\x7f:]*/.exec(text)![0].length;
  const next = text[name];
  if (next === ':') return name === 0 ? 0 : name + 1;
  if (name === 0 || (next !== ' ' && next !== '\t')) return -name;
  const blanks = /^[ \t]+/.exec(text.slice(name, name + 1000))![0].length;
  if (text[name + blanks] === ':') return name + blanks + 1;
  return isFromLine(text) ? fromName.length : -(name + 1);
}

export function isFromLine(text: string): boolean {
  return text.startsWith(fromName);
}

export function nameOf({ text, nameLength }: Field): string {
  return text.slice(0, nameLength);
}

export function bodyOf({ text, nameLength }: Field): string {
  return text.slice(nameLength);
}

/** More than its name stands there. */
export function hasValue({ text, nameLength }: Field): boolean {
  return nameLength < text.length - 1;
}

/** The first that names the field, or the beginning of its name. */
export function findFor(field: Field, list: readonly Field[]): Field | undefined {
  return list.find((each) => isNamed(field, nameOf(each)));
}

/** True also where `name` is only the beginning of the field's. */
export function isNamed(field: Field, name: string): boolean {
  return (
    field.nameLength >= name.length && field.text.slice(0, name.length).toLowerCase() === name.toLowerCase()
  );
}

/** The field with this name, all of it. */
export function hasName(field: Field, name: string): boolean {
  return field.nameLength === name.length && isNamed(field, name);
}

/**
 * Gives a field another name. What continues a From_ line begins with `>`, what continues any other field with a blank.
 *
 * @param replaced characters of the old name that the new one stands for, where the new one is no whole name
 */
export function rename(field: Field, replaced: number, name: string): void {
  let { text } = field;
  let length = replaced;
  if (isFromLine(text)) text = text.replaceAll('\n>', '\n ');
  if (name === fromName) text = text.replace(/\n[ \t]/g, '\n>');
  if (name === fromName || name.endsWith(':')) length = field.nameLength;
  field.text = name + text.slice(length);
  field.nameLength += name.length - length;
}

/** Removes the blanks between name and colon. */
export function tidyName(field: Field): void {
  const [blanks] = /[ \t]+(?=:$)/.exec(nameOf(field)) ?? [];
  if (blanks === undefined) return;
  const name = nameOf(field).replace(/[ \t]+:$/, ':');
  field.text = name + bodyOf(field);
  field.nameLength = name.length;
}

/** One line, unless it is a From_ line. */
export function concatenate(field: Field): void {
  if (isFromLine(field.text)) return;
  field.text = field.text.replace(/\n(?=[\s\S])/g, ' ');
}
