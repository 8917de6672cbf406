/** Dates as RFC 5322 section 3.3 writes them, always in UTC, and Message-IDs of section 3.6.4. */
import { randomBytes } from 'node:crypto';

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const lowerMonths = months.map((name) => name.toLowerCase());

/** Many messages share a second. */
let cachedSecond = Number.NaN;
let cachedText = '';

/** `Sat, 21 Nov 2026 06:13:34 +0000` for epoch milliseconds. */
export function formatDate(epochMs: number): string {
  const second = Math.floor(epochMs / 1000);
  if (second === cachedSecond) return cachedText;
  const date = new Date(second * 1000);
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(twoDigits).join(':');
  const day = `${days[date.getUTCDay()]}, ${date.getUTCDate()} ${months[date.getUTCMonth()]}`;
  cachedText = `${day} ${String(date.getUTCFullYear()).padStart(4, '0')} ${time} +0000`;
  cachedSecond = second;
  return cachedText;
}

/** A Message-ID in angle brackets that nobody else makes: 80 random bits, and the time for eyes that sort. */
export function makeMessageId(hostname: string, epochMs: number): string {
  return `<${epochMs.toString(36)}.${randomBytes(10).toString('hex')}@${hostname}>`;
}

const zones: Readonly<Record<string, number>> = {
  UT: 0,
  GMT: 0,
  EST: -300,
  EDT: -240,
  CST: -360,
  CDT: -300,
  MST: -420,
  MDT: -360,
  PST: -480,
  PDT: -420,
};
const datePattern =
  /^(?:[a-z]{3,9}\s*,?\s*)?(\d{1,2})\s+([a-z]{3})[a-z]{0,6}\s+(\d{2,4})\s+(\d{1,2})\s*:\s*(\d{2})(?:\s*:\s*(\d{2}))?(?:\s+([+-]\d{2}:?\d{2}|[a-z]{1,5}))?$/i;

/**
 * Epoch milliseconds of a date in RFC 5322 form, obsolete years and zones of section 4.3 included, and
 * `+01:00` for a zone; undefined for
 * anything else. Comments are ignored; a date without a zone counts as UTC.
 */
export function parseDate(text: string): number | undefined {
  const plain = withoutComments(text).trim();
  if (plain.length > 100) return undefined;
  const match = datePattern.exec(plain);
  if (!match) return undefined;
  const [day, hour, minute, second] = [match[1], match[4], match[5], match[6] ?? '0'].map(Number) as number[];
  const month = lowerMonths.indexOf(match[2]!.toLowerCase());
  if (month < 0 || hour! > 23 || minute! > 59 || second! > 60) return undefined;
  const ms = Date.UTC(fullYear(match[3]!), month, day, hour, minute, second);
  if (new Date(Date.UTC(fullYear(match[3]!), month, day)).getUTCDate() !== day) return undefined;
  return ms - zoneMinutes(match[7] ?? '+0000') * 60_000;
}

/** Two and three digits are years of the last century, below 50 of this one. */
function fullYear(text: string): number {
  const year = Number(text);
  if (text.length === 4) return year;
  return text.length === 2 && year < 50 ? 2000 + year : 1900 + year;
}

/** Military and unknown zones say nothing reliable and count as UTC. RFC 5322 section 4.3. */
function zoneMinutes(zone: string): number {
  const numeric = /^([+-])(\d{2}):?(\d{2})$/.exec(zone);
  if (!numeric) return zones[zone.toUpperCase()] ?? 0;
  const minutes = Number(numeric[2]) * 60 + Number(numeric[3]);
  return numeric[1] === '-' ? -minutes : minutes;
}

function withoutComments(text: string): string {
  if (!text.includes('(')) return text;
  let out = '';
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (character === '\\' && depth > 0) at++;
    else if (character === '(') depth++;
    else if (character === ')' && depth > 0) depth--;
    else if (depth === 0) out += character;
  }
  return out;
}

function twoDigits(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}
