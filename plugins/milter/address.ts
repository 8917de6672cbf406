/** Where a milter listens, as its own documentation or Postfix's main.cf writes it. */
import { isAbsolute, join } from 'node:path';

export type MilterAddress = { readonly path: string } | { readonly host: string; readonly port: number };

/**
 * `unix:/run/opendkim.sock`, `127.0.0.1:8891`, `[::1]:8891`, `inet:127.0.0.1:8891`, or Sendmail's `inet:8891@localhost`.
 * @throws TypeError for anything else
 */
export function parseMilterAddress(text: string, baseDirectory: string): MilterAddress {
  const unix = /^(?:unix|local):(.+)$/.exec(text)?.[1] ?? (text.startsWith('/') ? text : undefined);
  if (unix !== undefined) return { path: isAbsolute(unix) ? unix : join(baseDirectory, unix) };
  const sendmail = /^inet6?:(\d{1,5})@(.+)$/.exec(text);
  const common = /^(?:inet6?:)?(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(sendmail?.[1] ?? common?.[3] ?? 0);
  const host = sendmail?.[2] ?? common?.[1] ?? common?.[2];
  if (host === undefined || port < 1 || port > 65_535) {
    throw new TypeError(`${JSON.stringify(text)} is no address: unix:/path, host:port or [IPv6]:port`);
  }
  return { host, port };
}
