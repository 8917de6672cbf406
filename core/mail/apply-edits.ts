/** Applies edits to a header block and to an envelope: in order, all or nothing, untouched octets kept. */
import { compareForm, isAddress, joinAddress, splitAddress } from './address.ts';
import type { Edit } from './edit.ts';
import type { Envelope, Recipient } from './envelope.ts';
import { readMailParameters, readRcptParameters } from './esmtp-parameters.ts';
import { badEdit, checkField, formatField } from './format-field.ts';
import type { HeaderBlock } from './header.ts';

/** A field that an edit wrote. */
export interface WrittenField {
  readonly lowerName: string;
  readonly bytes: Buffer;
}
/** An item of the block by its index there, or a field that an edit wrote. */
export type HeaderItem = number | WrittenField;

export interface EditOptions {
  /** Write text beyond US-ASCII as UTF-8 instead of encoded words. RFC 6532. */
  readonly smtputf8?: boolean;
}

const crlf = Buffer.from('\r\n');

/** Why an edit cannot be applied to any message, in a sentence for the plugin's author; undefined when it can. */
export function checkEdit(edit: Edit): string | undefined {
  switch (edit.type) {
    case 'addHeader':
    case 'insertHeader':
    case 'changeHeader':
      return checkPlace(edit) ?? checkField(edit.name, edit.value);
    case 'deleteHeader':
      return checkPlace(edit);
    case 'replaceBody':
      return edit.body instanceof Uint8Array ? undefined : 'replaceBody: the body is not a Uint8Array';
    case 'changeSender':
      return edit.address === '' ? undefined : checkAddress(edit.type, edit.address);
    case 'addRecipient':
      return checkAddress(edit.type, edit.address);
    case 'deleteRecipient':
      // What is not there needs no grammar to be taken off.
      return undefined;
  }
}

/** A header block seen through edits. */
export class EditedHeader {
  readonly block: HeaderBlock;
  readonly items: readonly HeaderItem[];
  /** True when any field differs from the block. */
  readonly changed: boolean;

  constructor(block: HeaderBlock, items: readonly HeaderItem[], changed: boolean) {
    this.block = block;
    this.items = items;
    this.changed = changed;
  }

  /** Octets of one item, its line end included: a view, for reading only. */
  itemBytes(item: HeaderItem): Buffer {
    if (typeof item !== 'number') return item.bytes;
    return this.block.bytes.subarray(this.block.starts[item], this.block.end(item));
  }

  /** True for a field, false for a line of the block that is none. */
  isField(item: HeaderItem): boolean {
    return typeof item !== 'number' || this.block.nameEnds[item]! >= 0;
  }

  isNamed(item: HeaderItem, lowerName: string): boolean {
    return typeof item === 'number' ? this.block.isNamed(item, lowerName) : item.lowerName === lowerName;
  }

  /**
   * The octets of the fields, in as few pieces as they lie in, without the separator. A last line of the block that
   * had no line end gets one where another field follows.
   */
  chunks(): Buffer[] {
    if (!this.changed) return this.block.bytes.length > 0 ? [this.block.bytes] : [];
    const chunks: Buffer[] = [];
    let at = 0;
    while (at < this.items.length) {
      if (chunks.length > 0 && chunks.at(-1)!.at(-1) !== 10) chunks.push(crlf);
      const item = this.items[at]!;
      let last = at;
      if (typeof item === 'number') while (this.items[last + 1] === item + (last + 1 - at)) last++;
      const lastItem = this.items[last]!;
      chunks.push(
        typeof item === 'number'
          ? this.block.bytes.subarray(this.block.starts[item], this.block.end(lastItem as number))
          : item.bytes,
      );
      at = last + 1;
    }
    return chunks;
  }
}

/**
 * The block after the header edits of a list; other edits are passed over.
 * @throws OperationalError `bad-edit`; then nothing was applied.
 */
export function applyHeaderEdits(
  block: HeaderBlock,
  edits: readonly Edit[],
  options: EditOptions = {},
): EditedHeader {
  const items: HeaderItem[] = Array.from(block.starts.keys());
  const edited = new EditedHeader(block, items, false);
  let changed = false;
  for (const edit of edits) changed = applyHeaderEdit(edited, items, edit, options) || changed;
  return changed ? new EditedHeader(block, items, true) : edited;
}

/** The body that a list of edits puts in place of the message's; undefined when none does. */
export function replacedBody(edits: readonly Edit[]): Uint8Array | undefined {
  return edits.findLast((edit) => edit.type === 'replaceBody')?.body;
}

/**
 * The envelope after the sender and recipient edits of a list; other edits are passed over, and the same envelope
 * comes back where nothing changed. A new recipient's id is the first `rN` above those in use, and above
 * `usedIds` where recipients were taken off earlier in the transaction.
 * @throws OperationalError `bad-edit`; then nothing was applied.
 */
export function applyEnvelopeEdits(envelope: Envelope, edits: readonly Edit[], usedIds = 0): Envelope {
  let begun = envelope;
  let removedIds = Math.max(usedIds, envelope.removedIds ?? 0);
  let list: RecipientList | undefined;
  for (const edit of edits) {
    if (edit.type !== 'changeSender' && edit.type !== 'addRecipient' && edit.type !== 'deleteRecipient')
      continue;
    const problem = checkEdit(edit);
    if (problem) throw badEdit(problem);
    if (edit.type === 'changeSender') {
      begun = withSender(begun, edit);
      continue;
    }
    list ??= new RecipientList(envelope.recipients, removedIds);
    if (edit.type === 'deleteRecipient') removedIds = highestId(list.remove(edit.address), removedIds);
    else list.add(edit.address, edit.parameters);
  }
  const recipients = list?.changed ? list.all() : envelope.recipients;
  if (begun === envelope && recipients === envelope.recipients) return envelope;
  return { ...begun, recipients, ...(removedIds > 0 && { removedIds }) };
}

/** ESMTP parameters that come with a sender take the place of those of the same name; the others stay. */
function withSender(
  envelope: Envelope,
  { address, parameters }: Extract<Edit, { type: 'changeSender' }>,
): Envelope {
  if (parameters === undefined)
    return address === envelope.sender ? envelope : { ...envelope, sender: address };
  const fields = readMailParameters(parameters);
  const others = { ...envelope.parameters, ...fields.parameters };
  return {
    ...envelope,
    ...fields,
    sender: address,
    ...(Object.keys(others).length > 0 && { parameters: others }),
  };
}

/** Recipients in order, found by address: an edit costs the same whatever their number. */
class RecipientList {
  readonly #byForm = new Map<string, Recipient[]>();
  readonly #kept: Set<Recipient>;
  #nextId: number;
  changed = false;

  constructor(recipients: readonly Recipient[], removedIds: number) {
    this.#kept = new Set(recipients);
    this.#nextId = highestId(recipients, removedIds) + 1;
    for (const recipient of recipients) this.#index(recipient);
  }

  all(): readonly Recipient[] {
    return [...this.#kept];
  }

  /** Does nothing where the address is there already. */
  add(address: string, parameters: Recipient['parameters']): void {
    if (this.#byForm.has(compareForm(address))) return;
    const recipient = newRecipient(`r${this.#nextId++}`, address, parameters);
    this.#kept.add(recipient);
    this.#index(recipient);
    this.changed = true;
  }

  /** Answers those it removed. */
  remove(address: string): readonly Recipient[] {
    const form = compareForm(address);
    const removed = this.#byForm.get(form) ?? [];
    this.#byForm.delete(form);
    for (const recipient of removed) this.#kept.delete(recipient);
    this.changed ||= removed.length > 0;
    return removed;
  }

  #index(recipient: Recipient): void {
    const form = compareForm(recipient.address);
    const same = this.#byForm.get(form);
    if (same) same.push(recipient);
    else this.#byForm.set(form, [recipient]);
  }
}

function newRecipient(id: string, address: string, parameters: Recipient['parameters']): Recipient {
  const { local, domain } = splitAddress(address);
  const normal = joinAddress(local, domain);
  return { id, address: normal, original: normal, ...readRcptParameters(parameters ?? {}) };
}

function highestId(recipients: readonly Recipient[], usedIds: number): number {
  let highest = usedIds;
  for (const { id } of recipients) highest = Math.max(highest, Number(/^r(\d+)$/.exec(id)?.[1] ?? 0));
  return highest;
}

type HeaderEdit = Extract<Edit, { name: string }>;

/** Applies one edit to `items`; true when something changed. */
function applyHeaderEdit(
  header: EditedHeader,
  items: HeaderItem[],
  edit: Edit,
  options: EditOptions,
): boolean {
  if (!('name' in edit)) return false;
  const problem = checkPlace(edit);
  if (problem) throw badEdit(problem);
  const lowerName = edit.name.toLowerCase();
  if (edit.type === 'deleteHeader') return deleteFields(header, items, lowerName, edit.nth);
  const field = { lowerName, bytes: formatField(edit.name, edit.value, options.smtputf8) };
  const nth = edit.type === 'changeHeader' ? findNth(header, items, lowerName, edit.nth) : -1;
  if (nth >= 0) items[nth] = field;
  else if (edit.type === 'insertHeader') items.splice(insertPosition(header, items, edit.index), 0, field);
  else items.splice(appendPosition(header, items), 0, field);
  return true;
}

function deleteFields(
  header: EditedHeader,
  items: HeaderItem[],
  lowerName: string,
  nth: number | 'all',
): boolean {
  const before = items.length;
  if (nth === 'all') {
    const kept = items.filter((item) => !header.isNamed(item, lowerName));
    items.length = 0;
    for (const item of kept) items.push(item);
  } else {
    const at = findNth(header, items, lowerName, nth);
    if (at >= 0) items.splice(at, 1);
  }
  return items.length < before;
}

/** Index of the nth (from 1) field of that name, or -1. */
function findNth(header: EditedHeader, items: readonly HeaderItem[], lowerName: string, nth: number): number {
  let seen = 0;
  return items.findIndex((item) => header.isNamed(item, lowerName) && ++seen === nth);
}

/** Before the field at `index`, lines that are no field not counted; 0 is the very top. */
function insertPosition(header: EditedHeader, items: readonly HeaderItem[], index: number): number {
  if (index === 0) return 0;
  let fields = 0;
  const at = items.findIndex((item) => header.isField(item) && fields++ === index);
  return at < 0 ? appendPosition(header, items) : at;
}

/** The end, but before a line among the fields that is no field: strict readers take it for the begin of the body. */
function appendPosition(header: EditedHeader, items: readonly HeaderItem[]): number {
  const firstField = items.findIndex((item) => header.isField(item));
  if (firstField < 0) return items.length;
  const broken = items.findIndex((item, at) => at > firstField && !header.isField(item));
  return broken < 0 ? items.length : broken;
}

/** Where in the header; a field that is to be written is checked when it is formatted. */
function checkPlace(edit: HeaderEdit): string | undefined {
  switch (edit.type) {
    case 'addHeader':
      return undefined;
    case 'insertHeader':
      if (Number.isInteger(edit.index) && edit.index >= 0) return undefined;
      return `insertHeader: index ${edit.index} is not 0 or more`;
    case 'changeHeader':
      return checkNth(edit.type, edit.nth);
    case 'deleteHeader':
      return (edit.nth === 'all' ? undefined : checkNth(edit.type, edit.nth)) ?? checkField(edit.name, '');
  }
}

function checkNth(type: string, nth: number): string | undefined {
  return Number.isInteger(nth) && nth >= 1 ? undefined : `${type}: nth ${nth} is not 1 or more`;
}

function checkAddress(type: string, address: string): string | undefined {
  return isAddress(address) ? undefined : `${type}: ${JSON.stringify(address.slice(0, 80))} is no address`;
}
