/** Dates as IMAP writes them: ` 7-Feb-1994 21:52:25 -0800` and `7-Feb-1994`. RFC 9051 section 9. */
import { bad } from '../refusal.ts';
import type { Cursor } from './cursor.ts';

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const dateTime = /^([ 0-3]?\d)-([a-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)$/i;
const date = /^(\d{1,2})-([a-z]{3})-(\d{4})$/i;

/** Epoch milliseconds of a quoted date-time. */
export function readDateTime(input: Cursor): number {
  const match = dateTime.exec(input.string());
  if (!match) throw bad('a date and time was expected');
  const [day, hour, minute, second] = [match[1], match[4], match[5], match[6]].map(Number) as number[];
  const utc = Date.UTC(Number(match[3]), monthOf(match[2]!), day, hour, minute, second);
  checkDay(day!, monthOf(match[2]!), Number(match[3]));
  if (hour! > 23 || minute! > 59 || second! > 60) throw bad('there is no such time');
  const zone = (Number(match[8]) * 60 + Number(match[9])) * 60_000;
  return match[7] === '-' ? utc + zone : utc - zone;
}

/** `2026-11-21` for `21-Nov-2026`, quoted or not. */
export function readDate(input: Cursor): string {
  const match = date.exec(input.astring());
  if (!match) throw bad('a date was expected');
  const month = monthOf(match[2]!);
  checkDay(Number(match[1]), month, Number(match[3]));
  return `${match[3]}-${String(month + 1).padStart(2, '0')}-${match[1]!.padStart(2, '0')}`;
}

function monthOf(name: string): number {
  const month = months.indexOf(name.toLowerCase());
  if (month < 0) throw bad('there is no such month');
  return month;
}

function checkDay(day: number, month: number, year: number): void {
  if (day < 1 || new Date(Date.UTC(year, month, day)).getUTCMonth() !== month)
    throw bad('there is no such day');
}
