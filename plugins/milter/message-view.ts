/**
 * A message as a milter is used to see it: without the Received field of this hop, which MTAs write after their milters
 * were asked, while they count it in where a milter says at which place of the header a field is to stand.
 */

import type { MilterModification } from 'mailfilter/milter';
import {
  addHeader,
  changeHeader,
  deleteHeader,
  type Edit,
  type HeaderField,
  insertHeader,
  type Message,
} from 'mailfilter/plugin';

export interface MessageView {
  readonly fields: readonly HeaderField[];
  /** Which field named Received, from 1, is not shown; 0 where all are. */
  readonly hidden: number;
}

/** @param id the transaction's, which stands in the Received field that we wrote */
export function viewOf({ headers }: Message, id: string): MessageView {
  const fields: HeaderField[] = [];
  let hidden = 0;
  let received = 0;
  for (const field of headers) {
    if (field.name.toLowerCase() === 'received') {
      received += 1;
      if (hidden === 0 && new RegExp(`\\bid ${id}\\b`).test(field.value)) {
        hidden = received;
        continue;
      }
    }
    fields.push(field);
  }
  return { fields, hidden };
}

/** A field's value as it goes to a milter: line ends LF, the white space after the colon only where agreed on. */
export function milterValue({ raw }: HeaderField, leadingSpace: boolean): Buffer {
  const octets = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
  const value = octets
    .subarray(octets.indexOf(0x3a) + 1)
    .toString('latin1')
    .replace(/\r?\n$/, '')
    .replaceAll('\r\n', '\n');
  return Buffer.from(leadingSpace ? value : value.replace(/^[ \t]/, ''), 'latin1');
}

type HeaderModification = Extract<MilterModification, { readonly name: string }>;

/** A milter's change of the header as an edit of ours. */
export function headerEdit(change: HeaderModification, view: MessageView): Edit {
  const { name } = change;
  const value = textOf(change.value);
  if (change.type === 'addHeader') return addHeader(name, value);
  // Without our own field everything stands where an MTA would have it stand one line below.
  if (change.type === 'insertHeader') {
    const index = view.hidden === 0 && change.index > 0 ? change.index - 1 : change.index;
    return insertHeader(index, name, value);
  }
  const shifted = name.toLowerCase() === 'received' && view.hidden > 0 && change.nth >= view.hidden;
  const nth = Math.max(1, change.nth + (shifted ? 1 : 0));
  return value === '' ? deleteHeader(name, nth) : changeHeader(name, nth, value);
}

function textOf(value: Uint8Array): string {
  const text = new TextDecoder('utf-8').decode(value);
  const readable = text.includes('\ufffd') ? Buffer.from(value).toString('latin1') : text;
  return readable.replace(/\r?\n/g, '\r\n').replace(/^[ \t]+|\s+$/g, '');
}
