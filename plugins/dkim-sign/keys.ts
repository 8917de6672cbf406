/** Signing keys, chosen by the author's domain and the date. RFC 6376 sections 3.6.1 and 6.1. */
import { readSigningKey, type SigningKey, type SigningKeyOptions } from 'mailfilter/auth';

/** One entry of the options. */
export interface KeyOptions extends SigningKeyOptions {
  /** Dates as in `2026-12-31` or with a time; the key signs from the first on and before the second. */
  readonly from?: string;
  readonly until?: string;
}

export interface DatedKey extends SigningKey {
  /** Epoch milliseconds. */
  readonly from: number;
  readonly until: number;
}

/** @throws Error naming the entry and what is wrong with it */
export function readKeys(entries: readonly KeyOptions[], baseDirectory: string): DatedKey[] {
  const keys = entries.map((entry) => readKey(entry, baseDirectory));
  for (const [index, { domain, selector }] of keys.entries()) {
    const twin = keys.findIndex((key) => key.domain === domain && key.selector === selector);
    if (twin !== index) throw new Error(`${selector}._domainkey.${domain} is named twice`);
  }
  return keys;
}

/**
 * The keys that sign for an author's domain now: all of that domain, so that rsa and ed25519 sign together; else those
 * of the nearest domain above. Undefined where no entry is for the domain; empty where none is in its time.
 */
export function keysFor(keys: readonly DatedKey[], author: string, now: number): DatedKey[] | undefined {
  for (let domain = author; domain.includes('.'); domain = domain.slice(domain.indexOf('.') + 1)) {
    const known = keys.filter((key) => key.domain === domain);
    if (known.length > 0) return known.filter(({ from, until }) => from <= now && now < until);
  }
  return undefined;
}

function readKey(entry: KeyOptions, baseDirectory: string): DatedKey {
  const key = readSigningKey(entry, baseDirectory);
  const from = readDate(entry.from, Number.NEGATIVE_INFINITY);
  const until = readDate(entry.until, Number.POSITIVE_INFINITY);
  if (from >= until)
    throw new Error(`key ${key.selector}._domainkey.${key.domain}: "from" is not before "until"`);
  return { ...key, from, until };
}

function readDate(text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw new Error(`"${text}" is no date`);
  return time;
}
