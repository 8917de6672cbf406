/** Lists of address ranges, and the key under which connections of one client are counted. RFC 4632, RFC 4291. */
import { BlockList, isIP } from 'node:net';

/** Tells whether an address lies in one of the ranges it was made from. */
export interface IpMatcher {
  /** False for '' (a unix socket) and for anything that is no address. IPv4-mapped IPv6 counts as IPv4. */
  matches(ip: string): boolean;
}

/**
 * @param ranges `192.0.2.0/24`, `2001:db8::/32` or single addresses.
 * @throws RangeError that quotes the entry which is none of these.
 */
export function ipMatcher(ranges: readonly string[]): IpMatcher {
  if (ranges.length === 0) return nothing;
  const list = new BlockList();
  for (const range of ranges) addRange(list, range);
  return {
    matches(ip) {
      const plain = plainIp(ip);
      const family = isIP(plain);
      return family !== 0 && list.check(plain, family === 4 ? 'ipv4' : 'ipv6');
    },
  };
}

/** The IPv4 address inside an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2), without a zone index; others as given. */
export function plainIp(ip: string): string {
  if (!ip.includes(':')) return ip;
  const zone = ip.indexOf('%');
  const bare = zone === -1 ? ip : ip.slice(0, zone);
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1];
  return mapped !== undefined && isIP(mapped) === 4 ? mapped : bare;
}

export function isLoopback(ip: string): boolean {
  const plain = plainIp(ip);
  return plain === '::1' || (plain.startsWith('127.') && isIP(plain) === 4);
}

/** One client's share of the address space: the address itself for IPv4, the /64 for IPv6 (RFC 6177 hands out no less). */
export function clientKey(ip: string): string {
  const plain = plainIp(ip);
  return isIP(plain) === 6 ? `${hextets(plain).slice(0, 4).join(':')}::/64` : plain;
}

/**
 * The network an address lies in, as `c0000200/24`: one spelling for each, to count or remember by.
 * @param bits prefix lengths: 0 to 32, and 0 to 128
 * @returns '' for a unix socket and for what is no address. IPv4-mapped IPv6 counts as IPv4.
 */
export function networkKey(ip: string, bits: { readonly ipv4: number; readonly ipv6: number }): string {
  const plain = plainIp(ip);
  const family = isIP(plain);
  if (family === 0) return '';
  const width = family === 4 ? 32 : 128;
  const length = family === 4 ? bits.ipv4 : bits.ipv6;
  const digits =
    family === 4
      ? plain.split('.').map((octet) => Number(octet).toString(16).padStart(2, '0'))
      : hextets(plain).map((group) => group.padStart(4, '0'));
  const host = BigInt(width - length);
  const network = (BigInt(`0x${digits.join('')}`) >> host) << host;
  return `${network.toString(16).padStart(width / 4, '0')}/${length}`;
}

const nothing: IpMatcher = { matches: () => false };

function addRange(list: BlockList, range: string): void {
  const slash = range.indexOf('/');
  const written = slash === -1 ? range : range.slice(0, slash);
  const address = plainIp(written);
  const family = isIP(address);
  const width = family === 4 ? 32 : 128;
  const digits = slash === -1 ? undefined : range.slice(slash + 1);
  // The prefix of a mapped range counts the 96 bits in front of the IPv4 address.
  const skipped = isIP(written) === 6 && family === 4 ? 96 : 0;
  const prefix = digits === undefined ? width : Number(digits) - skipped;
  if (family === 0 || !/^\d{1,3}$/.test(digits ?? '0') || prefix < 0 || prefix > width) {
    throw new RangeError(`not an address or CIDR range: ${JSON.stringify(range)}`);
  }
  list.addSubnet(address, prefix, family === 4 ? 'ipv4' : 'ipv6');
}

/** The eight groups of a valid IPv6 address, without leading zeros. */
function hextets(ip: string): string[] {
  const [head = '', tail] = ip.split('::');
  const before = groups(head);
  if (tail === undefined) return before;
  const after = groups(tail);
  return [...before, ...new Array<string>(8 - before.length - after.length).fill('0'), ...after];
}

function groups(text: string): string[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16).toString(16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [(a * 256 + b).toString(16), (c * 256 + d).toString(16)];
  });
}
