/** Addresses that no public list can know. RFC 6890. */
import { BlockList, isIPv4 } from 'node:net';

const networks = new BlockList();
for (const [address, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const) {
  networks.addSubnet(address, prefix, 'ipv4');
}
for (const [address, prefix] of [
  ['::', 128],
  ['::1', 128],
  ['fc00::', 7],
  ['fe80::', 10],
] as const) {
  networks.addSubnet(address, prefix, 'ipv6');
}

/** IPv4-mapped IPv6 addresses are judged as the IPv4 address they hold. */
export function isPrivateAddress(ip: string): boolean {
  return networks.check(ip, isIPv4(ip) ? 'ipv4' : 'ipv6');
}
