/** MAIL parameters about when a message is due: HOLDFOR and HOLDUNTIL (RFC 4865), BY (RFC 2852), MT-PRIORITY (RFC 6710). */
import type { DeliverBy, FutureRelease } from './envelope.ts';

/**
 * RFC 4865 section 4.1, erratum 2040: HOLDFOR has one to nine digits, HOLDUNTIL is a date-time of RFC 3339.
 * Undefined where the grammar is broken, or the time has passed.
 * @param now epoch milliseconds
 */
export function readFutureRelease(
  keyword: 'HOLDFOR' | 'HOLDUNTIL',
  value: string,
  now: number,
): FutureRelease | undefined {
  if (keyword === 'HOLDFOR') {
    if (!/^[1-9]\d{0,8}$/.test(value)) return undefined;
    return { at: now + Number(value) * 1000, request: `for;${value}` };
  }
  if (!dateTime.test(value)) return undefined;
  const at = Date.parse(value);
  return at > now ? { at, request: `until;${value}` } : undefined;
}

/** RFC 3339 section 5.6. Date.parse refuses fields out of range. */
const dateTime = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})$/;

/**
 * RFC 2852 section 4: `by-time ";" by-mode [by-trace]`. Undefined where the grammar is broken, or where mail is to go
 * back at a time that has passed.
 * @param now epoch milliseconds
 */
export function readDeliverBy(value: string, now: number): DeliverBy | undefined {
  const match = /^([+-]?\d{1,9});([NR])(T?)$/i.exec(value);
  if (match === null) return undefined;
  const seconds = Number(match[1]);
  const mode = match[2]!.toUpperCase() === 'R' ? 'return' : 'notify';
  if (mode === 'return' && seconds <= 0) return undefined;
  return { until: now + seconds * 1000, mode, trace: match[3] !== '' };
}

/** The time that is left, as the next server is told it: less than was asked for by what the mail took here. RFC 2852 section 4.1. */
export function formatDeliverBy({ until, mode, trace }: DeliverBy, now: number): string {
  return `${secondsLeft(until, now)};${mode === 'return' ? 'R' : 'N'}${trace ? 'T' : ''}`;
}

/** Whole seconds; negative when it has passed. Nine digits are what the grammar has room for. */
export function secondsLeft(until: number, now: number): number {
  return Math.max(-999_999_999, Math.min(999_999_999, Math.floor((until - now) / 1000)));
}

/** RFC 6710 section 4.1. Undefined where the grammar is broken. */
export function readPriority(value: string): number | undefined {
  return /^(?:0|-?[1-9])$/.test(value) ? Number(value) : undefined;
}
