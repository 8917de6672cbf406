/** What a HELO name shows by itself. RFC 5321 sections 4.1.1.1 and 4.1.3. */
import { isIP } from 'node:net';
import { networkKey } from 'mailfilter/plugin';

export type NameFinding = 'ownName' | 'literalMismatch' | 'bareAddress' | 'noDot';

/** @param own names that only this site may use */
export function judgeName(helo: string, remoteIp: string, own: readonly string[]): NameFinding | undefined {
  const name = helo.toLowerCase().replace(/\.$/, '');
  if (own.some((each) => each.toLowerCase() === name)) return 'ownName';
  if (isIP(name) !== 0) return 'bareAddress';
  const literal = /^\[(?:ipv6:)?(.*)\]$/.exec(name)?.[1];
  if (literal !== undefined) return isSameAddress(literal, remoteIp) ? undefined : 'literalMismatch';
  return name.includes('.') ? undefined : 'noDot';
}

function isSameAddress(one: string, other: string): boolean {
  const whole = { ipv4: 32, ipv6: 128 };
  const key = networkKey(one, whole);
  return key !== '' && key === networkKey(other, whole);
}
