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
  const seconds = Math.floor(epochMs / 1000);
  const day = Math.floor(seconds / secondsOfDay);
  const time = seconds - day * secondsOfDay;
  const hours = twoDigits[Math.floor(time / 3600)];
  const minutes = twoDigits[Math.floor(time / 60) % 60];
  return `"${dayText(day)} ${hours}:${minutes}:${twoDigits[time % 60]} +0000"`;
}

const secondsOfDay = 86_400;
const twoDigits = Array.from({ length: 60 }, (_, value) => String(value).padStart(2, '0'));

/** Messages in a row are often of one day. */
let lastDay = Number.NaN;
let lastDayText = '';

function dayText(day: number): string {
  if (day === lastDay) return lastDayText;
  const date = new Date(day * secondsOfDay * 1000);
  const year = String(date.getUTCFullYear()).padStart(4, '0');
  lastDayText = `${String(date.getUTCDate()).padStart(2, ' ')}-${monthNames[date.getUTCMonth()]}-${year}`;
  lastDay = day;
  return lastDayText;
}
