/** What formail's options do to the fields of a header. formail(1): -i -I -R -u -U -x -X -z. */
import { trimmed } from '../../core/base/trim.ts';
import type { FieldEdits } from './arguments.ts';
import { bodyOf, type Field, findFor, hasValue, isNamed, nameOf, rename } from './field.ts';

/** Options of names, where a name that is only a beginning stands for each that begins so. */
export interface EditStage {
  /** The header that is answered to, of which an answer takes only some fields. */
  readonly answered: boolean;
  readonly reply: boolean;
}

/** The fields that are left, renamed or not. */
export function editFields(fields: readonly Field[], edits: FieldEdits, stage: EditStage): Field[] {
  const kept: Field[] = [];
  const firsts = new Set<string>();
  const lasts = new Map<string, Field>();
  for (const field of fields) {
    if (!renameOrDelete(field, edits, stage)) continue;
    const name = nameOf(field).toLowerCase();
    const first = edits.firstOnly.some((each) => isNamed(field, nameOf(each)));
    if (first && !firsts.has(name)) {
      firsts.add(name);
    } else if (edits.lastOnly.some((each) => isNamed(field, nameOf(each)))) {
      const before = lasts.get(name);
      if (before !== undefined) kept.splice(kept.indexOf(before), 1);
      lasts.set(name, field);
    } else if (first) {
      continue;
    }
    kept.push(field);
  }
  return kept;
}

/** False where the field goes. */
function renameOrDelete(field: Field, edits: FieldEdits, { answered, reply }: EditStage): boolean {
  const replaced = answered ? undefined : findFor(field, edits.renameAndAdd);
  // What an answer is to keep is named by -i without a value.
  if (replaced !== undefined && !(reply && !hasValue(replaced))) {
    rename(field, 0, 'Old-');
    return true;
  }
  const deleted = findFor(field, edits.deleteAndAdd);
  if (deleted !== undefined && !(answered && hasValue(deleted))) return false;
  const renamed = edits.rename.find(({ from }) => isNamed(field, nameOf(from)));
  if (renamed !== undefined) rename(field, renamed.from.nameLength, renamed.to);
  return true;
}

/** A blank after each name; undefined where nothing but blanks stands behind it. */
export function zapped(field: Field): Field | undefined {
  const name = nameOf(field);
  const value = bodyOf(field);
  if (!name.endsWith(':')) return field;
  if (!/^[ \t]/.test(value) && value.length > 1) return { ...field, text: `${name} ${value}` };
  return value.length <= 2 ? undefined : field;
}

/** What is printed of a field: all of it, or what -x and -X ask for. */
export function printed(field: Field, { extract, extractWhole }: FieldEdits, zap: boolean): string {
  if (extract.length + extractWhole.length === 0) return field.text;
  if (findFor(field, extract) !== undefined) {
    const value = bodyOf(field).slice(0, -1);
    return `${zap ? trimmed(value, ' \t') : value}\n`;
  }
  return findFor(field, extractWhole) === undefined ? '' : field.text;
}
