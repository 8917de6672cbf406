/** Which DKIM signatures of a message an edit breaks, by what they say they cover. RFC 6376 section 3.5. */
import type { Edit } from '../mail/edit.ts';
import type { Headers } from '../mail/message.ts';

/**
 * The signing domains (d=) whose signatures do not survive the edits; domains of this installation are left out.
 * Whether a signature was valid before is not asked.
 * @param headers as they were before the edits
 */
export function brokenSignatures(
  headers: Headers,
  edits: readonly Edit[],
  ownDomains: readonly string[],
): string[] {
  const signatures = headers.all('DKIM-Signature');
  if (signatures.length === 0) return [];
  const touched = new Set<string>();
  let body = false;
  for (const edit of edits) {
    if ('name' in edit) touched.add(edit.name.toLowerCase());
    else if (edit.type === 'replaceBody') body = true;
  }
  const broken = new Set<string>();
  for (const signature of signatures) {
    const domain = tagValue(signature, 'd').toLowerCase();
    const signed = tagValue(signature, 'h').toLowerCase().split(':');
    if (ownDomains.includes(domain)) continue;
    if (body || signed.some((name) => touched.has(name))) broken.add(domain);
  }
  return [...broken];
}

/** RFC 6376 section 3.2: tag=value pairs between semicolons; white space within h= and d= means nothing. */
function tagValue(signature: string, tag: string): string {
  for (const pair of signature.split(';')) {
    const equals = pair.indexOf('=');
    if (equals > 0 && pair.slice(0, equals).trim() === tag) return pair.slice(equals + 1).replace(/\s+/g, '');
  }
  return '';
}
