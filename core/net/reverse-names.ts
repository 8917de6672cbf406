/** Names of an address, and which of them lead back to it. RFC 1912 section 2.1. */
import type { Dns } from './dns-question.ts';
import { networkKey } from './ip.ts';

export interface Reverse {
  readonly names: readonly string[];
  /** Those whose addresses hold the one that was asked about. */
  readonly confirmed: readonly string[];
}

/** More names than that are looked at by nobody; SPF sets the same bound. RFC 7208 section 4.6.4. */
const namesMax = 10;

/** @throws when DNS fails and no name is confirmed: neither a hit nor a pass can be told then */
export async function reverseOf(ip: string, dns: Pick<Dns, 'a' | 'aaaa' | 'ptr'>): Promise<Reverse> {
  const whole = { ipv4: 32, ipv6: 128 };
  const key = networkKey(ip, whole);
  const isIpv4 = key.endsWith('/32');
  const names = (await dns.ptr(ip)).slice(0, namesMax);
  const replies = await Promise.allSettled(names.map((name) => (isIpv4 ? dns.a(name) : dns.aaaa(name))));
  const confirmed = names.filter((_, index) => {
    const reply = replies[index]!;
    return reply.status === 'fulfilled' && reply.value.some((address) => networkKey(address, whole) === key);
  });
  // A PTR record may hold what is no name at all; asking again would not help: it is not confirmed.
  const failed = replies.find((reply) => reply.status === 'rejected' && reply.reason?.temporary !== false);
  if (failed?.status === 'rejected' && confirmed.length === 0) throw failed.reason;
  return { names, confirmed };
}
