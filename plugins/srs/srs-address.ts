/**
 * Sender Rewriting Scheme: addresses of ours that stand for the sender of forwarded mail, as Shevek's paper and libsrs2
 * (postsrsd, and with it most MTAs) write them:
 *
 *     SRS0=hash=day=domain=local@ours         a sender rewritten by us
 *     SRS1=hash=first==hash=day=domain=local@ours   one that another host (`first`) had rewritten before
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { joinAddress, splitAddress } from 'mailfilter/mail';

export interface SrsSettings {
  /** Domain of the rewritten addresses. */
  readonly domain: string;
  /** The first one signs, all are good for verifying. */
  readonly secrets: readonly string[];
  /** How many days an address leads back. */
  readonly maxAgeDays: number;
  /** Characters of a hash; addresses are long already. */
  readonly hashLength: number;
}

/** An address of ours that leads nowhere, and why. */
export interface SrsProblem {
  readonly problem: 'malformed' | 'forged' | 'expired';
}

const dayMs = 24 * 3600 * 1000;
/** Two characters of base32 count the days, again from 0 after 1024 of them. */
const days = 1024;
const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const srs0 = /^SRS0[-+=]/i;
const srs1 = /^SRS1[-+=]/i;

/** True for the local part of an address that some host has rewritten. */
export function isSrs(local: string): boolean {
  return srs0.test(local) || srs1.test(local);
}

/**
 * The address to send with in place of `sender`.
 * @param now epoch milliseconds
 */
export function rewriteSender(sender: string, settings: SrsSettings, now: number): string {
  const { local, domain } = splitAddress(sender);
  return joinAddress(rewriteLocal(local, domain, settings, now), settings.domain);
}

/** The address that one of ours stands for; it may itself be one of another host. */
export function restoreSender(local: string, settings: SrsSettings, now: number): string | SrsProblem {
  return srs1.test(local) ? restoreSrs1(local, settings) : restoreSrs0(local, settings, now);
}

function rewriteLocal(local: string, domain: string, settings: SrsSettings, now: number): string {
  if (srs0.test(local)) {
    // The separator goes with the rest: it is the first host's own.
    const rest = local.slice(4);
    return `SRS1=${hashOf(settings, settings.secrets[0]!, domain, rest)}=${domain}=${rest}`;
  }
  const passed = srs1.test(local) ? /^[^=]*=([^=]*)=(.*)$/s.exec(local.slice(5)) : null;
  if (passed !== null) {
    // The host before last drops out: bounces go from us to the first one.
    const [, first = '', rest = ''] = passed;
    return `SRS1=${hashOf(settings, settings.secrets[0]!, first, rest)}=${first}=${rest}`;
  }
  const day = dayOf(now);
  return `SRS0=${hashOf(settings, settings.secrets[0]!, day, domain, local)}=${day}=${domain}=${local}`;
}

function restoreSrs0(text: string, settings: SrsSettings, now: number): string | SrsProblem {
  const parts = /^SRS0[-+=]([^=]+)=([^=]+)=([^=]+)=(.+)$/is.exec(text);
  if (parts === null) return { problem: 'malformed' };
  const [, hash = '', day = '', domain = '', local = ''] = parts;
  if (!isSigned(settings, hash, day, domain, local)) return { problem: 'forged' };
  return isFresh(day, settings.maxAgeDays, now)
    ? joinAddress(local, domain.toLowerCase())
    : { problem: 'expired' };
}

/** The time is judged by the first host, who wrote it. */
function restoreSrs1(text: string, settings: SrsSettings): string | SrsProblem {
  const parts = /^SRS1[-+=]([^=]+)=([^=]+)=([-+=].+)$/is.exec(text);
  if (parts === null) return { problem: 'malformed' };
  const [, hash = '', first = '', rest = ''] = parts;
  return isSigned(settings, hash, first, rest)
    ? joinAddress(`SRS0${rest}`, first.toLowerCase())
    : { problem: 'forged' };
}

function hashOf({ hashLength }: SrsSettings, secret: string, ...parts: readonly string[]): string {
  const mac = createHmac('sha1', secret);
  // Hosts on the way may have changed the case.
  for (const part of parts) mac.update(part.toLowerCase());
  return mac.digest('base64').slice(0, hashLength);
}

/** Hashes are compared without case, too. */
function isSigned(settings: SrsSettings, hash: string, ...parts: readonly string[]): boolean {
  if (hash.length !== settings.hashLength) return false;
  const given = Buffer.from(hash.toLowerCase());
  return settings.secrets.some((secret) => {
    const right = Buffer.from(hashOf(settings, secret, ...parts).toLowerCase());
    return right.length === given.length && timingSafeEqual(right, given);
  });
}

function dayOf(now: number): string {
  const day = Math.floor(now / dayMs) % days;
  return `${base32[day >> 5]}${base32[day & 31]}`;
}

function isFresh(text: string, maxAgeDays: number, now: number): boolean {
  if (text.length !== 2) return false;
  const [high, low] = [...text.toUpperCase()].map((character) => base32.indexOf(character));
  if (high === undefined || low === undefined || high < 0 || low < 0) return false;
  const age = (Math.floor(now / dayMs) % days) - ((high << 5) | low);
  // An address of tomorrow is 1023 days old; clocks of two hosts may differ by that.
  const elapsed = (age + days) % days;
  return elapsed <= maxAgeDays || elapsed === days - 1;
}
