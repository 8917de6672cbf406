/** IP addresses as octets: for networks of SPF and for the macros that spell an address. RFC 4291, RFC 7208 section 7.3. */
import { isIPv4, isIPv6 } from 'node:net';

/** 4 octets or 16. */
export type IpOctets = readonly number[];

/** An IPv6 address that stands for an IPv4 one is that one; undefined for what is no address. */
export function parseIp(text: string): IpOctets | undefined {
  if (isIPv4(text)) return text.split('.').map(Number);
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const octets = ipv6Octets(text);
  const mapped =
    octets.slice(0, 10).every((octet) => octet === 0) && octets[10] === 255 && octets[11] === 255;
  return mapped ? octets.slice(12) : octets;
}

/** The 16 octets of a valid IPv6 address, mapped or not. */
export function ipv6Octets(text: string): IpOctets {
  const [head = '', tail] = text.split('::');
  const [before, after] = [groups(head), groups(tail ?? '')];
  const zeros = new Array<number>(16 - before.length - after.length).fill(0);
  return [...before, ...zeros, ...after];
}

/** True when the first `bits` of both are the same and both are of one family. */
export function isInNetwork(ip: IpOctets, network: IpOctets, bits: number): boolean {
  if (ip.length !== network.length) return false;
  for (let index = 0, left = bits; left > 0; index++, left -= 8) {
    const mask = left >= 8 ? 0xff : (0xff << (8 - left)) & 0xff;
    if ((ip[index]! & mask) !== (network[index]! & mask)) return false;
  }
  return true;
}

/** `192.0.2.1`, or the 32 nibbles of an IPv6 address with dots between. */
export function dottedIp(ip: IpOctets): string {
  if (ip.length === 4) return ip.join('.');
  return ip.flatMap((octet) => [octet >> 4, octet & 15].map((nibble) => nibble.toString(16))).join('.');
}

function groups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const number = Number.parseInt(group, 16);
    return [number >> 8, number & 0xff];
  });
}
