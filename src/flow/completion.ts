/** What a submission server completes in a message that a mail program left unfinished. RFC 6409 section 8. */
import { formatDate, makeMessageId } from '../../core/mail/date.ts';
import type { Edit } from '../../core/mail/edit.ts';
import { fieldValue, type HeaderBlock } from '../../core/mail/header.ts';

/**
 * Date and Message-ID where they are missing or empty, and no Bcc: it must not reach anybody (RFC 5322 section 3.6.3).
 * @param now epoch milliseconds
 */
export function completion(
  block: HeaderBlock,
  hostname: string,
  now: number,
): { edits: Edit[]; messageId: string } {
  const edits: Edit[] = [];
  for (const name of ['Bcc', 'Resent-Bcc']) {
    if (block.countNamed(name.toLowerCase()) > 0) edits.push({ type: 'deleteHeader', name, nth: 'all' });
  }
  // changeHeader gives a field that is there without a value one, and appends one that is missing.
  if (!valuesOf(block, 'date')[0]) {
    edits.push({ type: 'changeHeader', name: 'Date', nth: 1, value: formatDate(now) });
  }
  const found = valuesOf(block, 'message-id')[0];
  if (found) return { edits, messageId: found };
  const messageId = makeMessageId(hostname, now);
  edits.push({ type: 'changeHeader', name: 'Message-ID', nth: 1, value: messageId });
  return { edits, messageId };
}

/** Values of all fields of that name, in order. */
export function valuesOf(block: HeaderBlock, lowerName: string): string[] {
  const values: string[] = [];
  for (let index = 0; index < block.starts.length; index++) {
    if (!block.isNamed(index, lowerName)) continue;
    values.push(fieldValue(block.bytes.subarray(block.starts[index], block.end(index))));
  }
  return values;
}
