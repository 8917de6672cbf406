/** Addresses as DNS lists and PTR names spell them. RFC 5782 section 2.1 and 2.4, RFC 3596 section 2.5. */
import { isIPv4, isIPv6 } from 'node:net';

/**
 * `192.0.2.1` becomes `1.2.0.192`, `2001:db8::1` its 32 nibbles in reverse with dots between. An IPv4-mapped IPv6
 * address is spelled as IPv4.
 * @throws RangeError when the text is no IP address
 */
export function reverseIp(ip: string): string {
  if (isIPv4(ip)) return ip.split('.').reverse().join('.');
  if (!isIPv6(ip)) throw new RangeError(`"${ip}" is no IP address`);
  const groups = expand(ip.split('%', 1)[0]!);
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    const [high, low] = [groups[6]!, groups[7]!];
    return [low & 255, low >> 8, high & 255, high >> 8].join('.');
  }
  const nibbles = groups.map((group) => group.toString(16).padStart(4, '0')).join('');
  return [...nibbles].reverse().join('.');
}

/** The eight groups of an IPv6 address that net.isIPv6 took. */
function expand(ip: string): number[] {
  const dotted = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(ip);
  let text = ip;
  if (dotted !== null) {
    const [a, b, c, d] = dotted.slice(1).map(Number) as [number, number, number, number];
    text = `${ip.slice(0, dotted.index)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const [left = '', right] = text.split('::');
  const head = readGroups(left);
  if (right === undefined) return head;
  const tail = readGroups(right);
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

function readGroups(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}
