/** Where a route sends mail on to: the MX of the recipient's domain, a host of your choice, an LMTP server. */
import { isIP } from 'node:net';
import type { ListenAddress } from './config.ts';
import { canonicalDomain } from './domain.ts';
import { parseListenAddress } from './listen-address.ts';

/**
 * How much TLS is wanted. `none`: never. `opportunistic`: where offered, any certificate (RFC 7435). `required`: always,
 * any certificate. `verify`: always, and the certificate must hold the host's name.
 */
export type TlsLevel = 'none' | 'opportunistic' | 'required' | 'verify';
export const tlsLevels: readonly TlsLevel[] = ['none', 'opportunistic', 'required', 'verify'];

export type RelayTarget =
  | { readonly kind: 'mx' }
  | {
      readonly kind: 'host';
      /** Name or IP address. */
      readonly host: string;
      readonly port: number;
      readonly tls: TlsLevel;
      /** TLS from the first octet: port 465. */
      readonly implicitTls: boolean;
      /** Name to log in with; the password is not part of the text. */
      readonly user?: string;
    }
  | { readonly kind: 'lmtp'; readonly to: ListenAddress };

export const relayForms =
  '"mx", host, host:port, smtp://user@host:port or smtps://user@host, with ?tls=none, opportunistic, required or verify';

/** Undefined for a text that is none of the forms. */
export function parseRelay(text: string): RelayTarget | undefined {
  if (text === 'mx') return { kind: 'mx' };
  const [, scheme = 'smtp', userPart, hostPart = '', query] =
    /^(?:(smtps?):\/\/)?(?:([^@/?]+)@)?([^@/?]+?)\/?(?:\?tls=([a-z]+))?$/.exec(text) ?? [];
  const found = splitHost(hostPart);
  const user = userPart === undefined ? undefined : decode(userPart);
  if (found === undefined || (userPart !== undefined && user === undefined)) return undefined;
  const implicitTls = scheme === 'smtps';
  // A password is not to be read by whoever sits in between.
  const tls = query ?? (implicitTls || user !== undefined ? 'verify' : 'opportunistic');
  if (!isTlsLevel(tls) || (implicitTls && (tls === 'none' || tls === 'opportunistic'))) return undefined;
  const port = found.port ?? (implicitTls ? 465 : user === undefined ? 25 : 587);
  return { kind: 'host', host: found.host, port, tls, implicitTls, ...(user === undefined ? {} : { user }) };
}

/** As it stands in the queue: `lmtp:host:port`, `lmtp:unix:/path`, or the text of a relay. */
export function parseVia(via: string): RelayTarget | undefined {
  if (!via.startsWith('lmtp:')) return parseRelay(via);
  const to = parseListenAddress(via.slice('lmtp:'.length), '/');
  return to && { kind: 'lmtp', to };
}

export function isTlsLevel(text: string): text is TlsLevel {
  return (tlsLevels as readonly string[]).includes(text);
}

function splitHost(text: string): { host: string; port?: number } | undefined {
  const [, v6, name, portText] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:]+))(?::([0-9]{1,5}))?$/.exec(text) ?? [];
  const host = v6 ?? name ?? '';
  const valid = v6 === undefined ? isIP(host) === 4 || canonicalDomain(host) !== undefined : isIP(v6) === 6;
  const port = portText === undefined ? undefined : Number(portText);
  if (!valid || (port !== undefined && (port < 1 || port > 65_535))) return undefined;
  return { host: canonicalDomain(host) ?? host, ...(port === undefined ? {} : { port }) };
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    // A percent sign that begins no octet.
    return undefined;
  }
}
