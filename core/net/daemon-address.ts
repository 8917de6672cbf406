/** Where a daemon listens, as people write it: a socket's path, or host and port. */
import { isAbsolute, join } from 'node:path';

export type DaemonAddress = { readonly path: string } | { readonly host: string; readonly port: number };

/**
 * `unix:/run/clamd.sock`, `/run/clamd.sock`, `127.0.0.1:3310`, `[::1]:3310`; without a port where there is a usual one.
 * @param baseDirectory where relative paths start
 * @throws TypeError for anything else
 */
export function parseDaemonAddress(text: string, baseDirectory: string, usualPort?: number): DaemonAddress {
  const unix = /^(?:unix|local):(.+)$/.exec(text)?.[1] ?? (text.startsWith('/') ? text : undefined);
  if (unix !== undefined) return { path: isAbsolute(unix) ? unix : join(baseDirectory, unix) };
  const parts = /^(?:\[([^\]]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(text);
  const host = parts?.[1] ?? parts?.[2];
  const port = Number(parts?.[3] ?? usualPort ?? 0);
  if (host === undefined || port < 1 || port > 65_535) {
    throw new TypeError(`${JSON.stringify(text)} is no address: unix:/path, host:port or [IPv6]:port`);
  }
  return { host, port };
}

/** As it stands in logs and traces. */
export function formatDaemonAddress(address: DaemonAddress): string {
  if ('path' in address) return `unix:${address.path}`;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
