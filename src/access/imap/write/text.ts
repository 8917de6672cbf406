/** Values as IMAP writes them; all strings are octets as Latin-1. RFC 9051 section 9. */
import { imapString } from '../../../../core/mail/imap-text.ts';

/** Octets of a text in UTF-8. */
export function octetsOf(text: string): string {
  return /[^\0-\x7f]/.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
}

/** An atom where it can be one, else quoted, else a literal. Octets in, octets out. */
export function astringText(octets: string): string {
  return octets !== '' && /^[^\0-\x20\x7f-\xff(){%*"\\\]]+$/.test(octets) && octets.toUpperCase() !== 'NIL'
    ? octets
    : imapString(octets);
}

/** Numbers in the order given, neighbours that ascend drawn together; '' for none. */
export function setText(numbers: ArrayLike<number>): string {
  let text = '';
  for (let index = 0; index < numbers.length; ) {
    const first = numbers[index]!;
    let last = first;
    while (index + 1 < numbers.length && numbers[index + 1] === last + 1) {
      last += 1;
      index += 1;
    }
    index += 1;
    text += `${text === '' ? '' : ','}${first === last ? first : `${first}:${last}`}`;
  }
  return text;
}

const monthNames = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `" 1-Feb-2026 07:00:00 +0000"`. @param epochMs milliseconds */
export function dateTimeText(epochMs: number): string {
  const date = new Date(epochMs);
  const day = String(date.getUTCDate()).padStart(2, ' ');
  const year = String(date.getUTCFullYear()).padStart(4, '0');
  return `"${day}-${monthNames[date.getUTCMonth()]}-${year} ${date.toISOString().slice(11, 19)} +0000"`;
}
