/** Signing keys: read from files once, chosen by the author's domain and the date. RFC 6376 sections 3.6.1 and 6.1. */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { isSelector, type SigningKey, signingType } from 'mailfilter/auth';
import { isDomain, normaliseDomain } from 'mailfilter/mail';

/** One entry of the options. */
export interface KeyOptions {
  readonly domain: string;
  readonly selector: string;
  readonly keyFile: string;
  /** Dates as in `2026-12-31` or with a time; the key signs from the first on and before the second. */
  readonly from?: string;
  readonly until?: string;
}

export interface DatedKey extends SigningKey {
  /** Epoch milliseconds. */
  readonly from: number;
  readonly until: number;
}

/** The shortest key that verifiers must take is 1024 bits (RFC 8301 section 3.2); many take no shorter one. */
const rsaBitsMin = 1024;

/**
 * @param baseDirectory relative files start there
 * @throws Error naming the entry and what is wrong with it
 */
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
  const { selector, keyFile } = entry;
  const domain = normaliseDomain(entry.domain);
  const where = `key ${selector}._domainkey.${domain}`;
  if (!isDomain(domain)) throw new Error(`${where}: ${entry.domain} is no domain`);
  if (!isSelector(selector)) throw new Error(`${where}: "${selector}" is no selector`);
  const key = readPrivateKey(resolve(baseDirectory, keyFile), where);
  const from = readDate(entry.from, Number.NEGATIVE_INFINITY, where);
  const until = readDate(entry.until, Number.POSITIVE_INFINITY, where);
  if (from >= until) throw new Error(`${where}: "from" is not before "until"`);
  return { domain, selector, key, from, until };
}

function readPrivateKey(path: string, where: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(readFileSync(path));
  } catch (error) {
    throw new Error(`${where}: ${path} cannot be used: ${(error as Error).message}`);
  }
  if (signingType(key) === undefined)
    throw new Error(`${where}: ${path} is neither an RSA nor an Ed25519 key`);
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (signingType(key) === 'rsa' && bits < rsaBitsMin)
    throw new Error(`${where}: a key of ${bits} bits is too short`);
  return key;
}

function readDate(text: string | undefined, otherwise: number, where: string): number {
  if (text === undefined) return otherwise;
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw new Error(`${where}: "${text}" is no date`);
  return time;
}
