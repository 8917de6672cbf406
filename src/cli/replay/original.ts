/** A delivered copy turned back into the message as the client sent it: what we added, by the trace, is taken out again. */

import type { Edit } from '../../../core/mail/edit.ts';
import { fieldName, fieldValue, headerTooLarge, parseHeader } from '../../../core/mail/header.ts';
import type { StoredTrace } from '../../../core/state/trace-store.ts';
import type { WalkTrace } from '../../flow/house.ts';

export interface Original {
  readonly octets: Buffer;
  /** What could not be undone: the message is played again as it was stored in these. Empty: octet for octet. */
  readonly kept: readonly string[];
}

/** Fields of a delivery, one each, at the top. */
const deliveryFields = ['return-path', 'delivered-to', 'x-mailfilter-delivery'];

/**
 * @param stored CRLF line ends
 * @param recipient id of the recipient whose copy it is: edits of its own are undone too
 */
export function originalOf(
  stored: Buffer,
  trace: Pick<StoredTrace<WalkTrace>, 'id' | 'entries' | 'length'>,
  hostname: string,
  recipient: string,
  headerBytesMax: number,
): Original {
  const block = parseHeader(stored, headerBytesMax);
  if (block === headerTooLarge) return { octets: stored, kept: ['the header, which is too large'] };
  const fields = block.starts.map((start, index) => block.bytes.subarray(start, block.end(index)));
  const kept: string[] = [];
  const remove = (matches: (raw: Buffer) => boolean, last = false): boolean => {
    const at = last ? fields.findLastIndex(matches) : fields.findIndex(matches);
    if (at >= 0) fields.splice(at, 1);
    return at >= 0;
  };
  for (const name of deliveryFields) remove(isNamed(name));
  for (const edit of editsOf(trace, recipient).reverse()) {
    if (edit.type === 'addHeader' || edit.type === 'insertHeader') {
      const same = (raw: Buffer) => isNamed(edit.name)(raw) && fieldValue(raw) === unfolded(edit.value);
      if (!remove(same, edit.type === 'addHeader')) kept.push(`+ ${edit.name}`);
    } else if (edit.type === 'changeHeader') kept.push(`~ ${edit.name}`);
    else if (edit.type === 'deleteHeader') kept.push(`- ${edit.name}`);
    else if (edit.type === 'replaceBody') kept.push('~ body');
  }
  remove((raw) => isNamed('authentication-results')(raw) && fieldValue(raw).startsWith(`${hostname};`));
  remove((raw) => isNamed('received')(raw) && new RegExp(`\\sid ${trace.id}\\b`).test(fieldValue(raw)));
  const octets = Buffer.concat([...fields, block.separator, stored.subarray(block.bodyStart)]);
  // What forged results and Bcc were taken out is in no trace.
  if (kept.length === 0 && octets.length !== trace.length)
    kept.push(`${trace.length - octets.length} octets`);
  return { octets, kept };
}

/** In the order in which they were made. */
function editsOf({ entries }: Pick<WalkTrace, 'entries'>, recipient: string): Edit[] {
  return entries
    .filter((entry) => entry.shadow !== true && (entry.recipient ?? recipient) === recipient)
    .flatMap(({ edits = [], recipients }) => {
      const own = (recipients as Record<string, { edits?: Edit[] }> | undefined)?.[recipient]?.edits;
      return [...edits, ...(own ?? [])];
    });
}

function isNamed(name: string): (raw: Buffer) => boolean {
  const lower = name.toLowerCase();
  return (raw) => fieldName(raw).toLowerCase() === lower;
}

function unfolded(value: string): string {
  return value.replace(/\r?\n/g, '').trim();
}
