/** Socket addresses as the config writes them: `host:port`, `[v6]:port` or `unix:/path`. */
import { isIP, isIPv6 } from 'node:net';
import { resolve } from 'node:path';
import type { ListenAddress, NextServer } from './config.ts';

/** For messages: what `parseListenAddress` takes. */
export const listenAddressForms = 'host:port, [IPv6]:port or unix:/path';

/** Undefined when the text is none of the three forms. A relative unix path starts at `baseDirectory`. */
export function parseListenAddress(text: string, baseDirectory: string): ListenAddress | undefined {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    return path === '' ? undefined : { kind: 'unix', path: resolve(baseDirectory, path) };
  }
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]\s/]+)):([0-9]{1,5})$/.exec(text);
  if (match === null) return undefined;
  const [, v6, name, digits] = match;
  const port = Number(digits);
  const host = v6 ?? name ?? '';
  const looksLikeIp = /^[0-9.]+$/.test(host);
  if (port > 65_535 || (v6 !== undefined && !isIPv6(v6)) || (looksLikeIp && isIP(host) !== 4))
    return undefined;
  return { kind: 'tcp', host: host.toLowerCase(), port };
}

/** The same forms, and `lmtp:` before them. */
export function parseNextServer(text: string, baseDirectory: string): NextServer | undefined {
  const lmtp = text.startsWith('lmtp:');
  const address = parseListenAddress(lmtp ? text.slice('lmtp:'.length) : text, baseDirectory);
  return address && { address, protocol: lmtp ? 'lmtp' : 'smtp', text };
}

/** The form that the config would write. */
export function formatListenAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}

/** True for sockets that only this machine can reach. */
export function isLocalAddress(address: ListenAddress): boolean {
  if (address.kind === 'unix') return true;
  return address.host === 'localhost' || address.host === '::1' || /^127\./.test(address.host);
}

/** True when both cannot be bound at once. Port 0 takes any free port. */
export function sameSocket(left: ListenAddress, right: ListenAddress): boolean {
  if (left.kind === 'unix' || right.kind === 'unix') {
    return left.kind === 'unix' && right.kind === 'unix' && left.path === right.path;
  }
  if (left.port !== right.port || left.port === 0) return false;
  if (left.host === right.host) return true;
  // Node binds `::` for both families.
  if (left.host === '::' || right.host === '::') return true;
  const wildcard4 = left.host === '0.0.0.0' || right.host === '0.0.0.0';
  return wildcard4 && !left.host.includes(':') && !right.host.includes(':');
}
