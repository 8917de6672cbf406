/**
 * What edits did to a header, as the changes an MTA understands. MTAs differ in whether a deleted field still counts, so
 * fields that are there are changed from the last of a name to the first, by the numbers they came with; new ones follow.
 */
import type { EditedHeader, HeaderItem } from '../../../core/mail/apply-edits.ts';
import type { MilterModification } from '../../../core/net/milter/index.ts';
import { fieldValueOf } from './header-field.ts';

/**
 * @param leadingSpace values keep the white space after the colon
 * @param indexOffset fields of the MTA's own above those that we see, where it counts them: all but the very top is moved by it
 */
export function headerChanges(
  header: EditedHeader,
  leadingSpace: boolean,
  indexOffset: number,
): MilterModification[] {
  if (!header.changed) return [];
  const fate = fateOfFields(header);
  const value = (item: HeaderItem) => fieldValueOf(header.itemBytes(item), leadingSpace);
  return [...changesInPlace(header, fate, value), ...newFields(header, fate, value, indexOffset)];
}

/** Of each field that came: it stands, went, or has this in its place. */
type Fate = 'kept' | 'deleted' | HeaderItem;

interface Fates {
  readonly originals: readonly Fate[];
  /** Items that took the place of a field. */
  readonly replacements: ReadonlySet<HeaderItem>;
}

/** What was written where a field of that name is missing is that field with another value. */
function fateOfFields(header: EditedHeader): Fates {
  const originals: Fate[] = header.block.starts.map(() => 'deleted');
  const replacements = new Set<HeaderItem>();
  let next = 0;
  let gap: HeaderItem[] = [];
  const close = (end: number) => {
    for (const item of gap) {
      if (typeof item === 'number') continue;
      const match = missingNamed(header, item.lowerName, next, end);
      if (match === undefined) continue;
      originals[match] = item;
      replacements.add(item);
      next = match + 1;
    }
    gap = [];
  };
  for (const item of header.items) {
    if (typeof item !== 'number') {
      gap.push(item);
      continue;
    }
    close(item);
    originals[item] = 'kept';
    next = item + 1;
  }
  close(originals.length);
  return { originals, replacements };
}

function missingNamed(
  header: EditedHeader,
  lowerName: string,
  from: number,
  end: number,
): number | undefined {
  for (let index = from; index < end; index++) if (header.block.isNamed(index, lowerName)) return index;
  return undefined;
}

function changesInPlace(
  { block }: EditedHeader,
  { originals }: Fates,
  value: (item: HeaderItem) => Buffer,
): MilterModification[] {
  const changes: MilterModification[] = [];
  const seen = new Map<string, number>();
  for (const [index, fate] of originals.entries()) {
    const name = block.bytes.toString('latin1', block.starts[index], block.nameEnds[index]);
    const nth = (seen.get(name.toLowerCase()) ?? 0) + 1;
    seen.set(name.toLowerCase(), nth);
    if (fate === 'kept') continue;
    const changed = fate === 'deleted' ? Buffer.alloc(0) : value(fate);
    changes.push({ type: 'changeHeader', nth, name, value: changed });
  }
  return changes.reverse();
}

/** At the top from below upwards, at the end in order, anything else at its place in the header as it is by then. */
function newFields(
  header: EditedHeader,
  { originals, replacements }: Fates,
  value: (item: HeaderItem) => Buffer,
  indexOffset: number,
): MilterModification[] {
  const isNew = (item: HeaderItem) => typeof item !== 'number' && !replacements.has(item);
  const { items } = header;
  const standing = originals.some((fate) => fate !== 'deleted');
  const firstOld = items.findIndex((item) => !isNew(item));
  const lastOld = items.findLastIndex((item) => !isNew(item));
  const top: MilterModification[] = [];
  const rest: MilterModification[] = [];
  for (const [index, item] of items.entries()) {
    if (!isNew(item)) continue;
    const field = { name: nameOf(header, item), value: value(item) };
    if (standing && index < firstOld) top.unshift({ type: 'insertHeader', index: 0, ...field });
    else if (!standing || index > lastOld) rest.push({ type: 'addHeader', ...field });
    else rest.push({ type: 'insertHeader', index: index + indexOffset, ...field });
  }
  return [...top, ...rest];
}

function nameOf(header: EditedHeader, item: HeaderItem): string {
  const octets = header.itemBytes(item);
  return octets.toString('latin1', 0, octets.indexOf(58));
}
