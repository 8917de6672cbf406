/** The client that a listed proxy names with XCLIENT or XFORWARD. Postfix's XCLIENT_README and XFORWARD_README. */
import { isIP } from 'node:net';
import { decodeXtext } from '../../../core/base/xtext.ts';
import { plainIp } from '../../../core/net/ip.ts';

export interface ForwardedClient {
  /** Undefined where the attribute was not given, '' where it was given as unavailable. */
  readonly name?: string;
  readonly address?: string;
  readonly port?: number;
  readonly localAddress?: string;
  readonly localPort?: number;
  readonly helo?: string;
  readonly esmtp?: boolean;
  readonly login?: string;
}

export const xclientAttributes = ['NAME', 'ADDR', 'PORT', 'PROTO', 'HELO', 'LOGIN', 'DESTADDR', 'DESTPORT'];
export const xforwardAttributes = ['NAME', 'ADDR', 'PORT', 'PROTO', 'HELO', 'IDENT', 'SOURCE'];

/** Undefined when one attribute is unknown or malformed: then none of them counts. */
export function parseForwardedClient(text: string, allowed: readonly string[]): ForwardedClient | undefined {
  const client: { -readonly [key in keyof ForwardedClient]: ForwardedClient[key] } = {};
  const words = text.split(' ').filter((word) => word !== '');
  if (words.length === 0) return undefined;
  for (const word of words) {
    const equals = word.indexOf('=');
    const key = word.slice(0, Math.max(0, equals)).toUpperCase();
    const decoded = decodeXtext(word.slice(equals + 1));
    if (!allowed.includes(key) || decoded === undefined || decoded.length > 255) return undefined;
    const value = /^\[(?:UN|TEMPUN)AVAIL(?:ABLE)?\]$/i.test(decoded) ? '' : decoded;
    if (!setAttribute(client, key, value)) return undefined;
  }
  return client;
}

type Mutable = { -readonly [key in keyof ForwardedClient]: ForwardedClient[key] };

function setAttribute(client: Mutable, key: string, value: string): boolean {
  switch (key) {
    case 'ADDR':
      client.address = forwardedIp(value);
      return client.address !== undefined;
    case 'DESTADDR':
      client.localAddress = forwardedIp(value);
      return client.localAddress !== undefined;
    case 'NAME':
      client.name = value.toLowerCase().replace(/\.$/, '');
      return value === '' || /^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/.test(client.name);
    case 'PORT':
      client.port = Number(value);
      return /^\d{0,5}$/.test(value) && client.port <= 65_535;
    case 'DESTPORT':
      client.localPort = Number(value);
      return /^\d{0,5}$/.test(value) && client.localPort <= 65_535;
    case 'HELO':
      client.helo = value;
      return true;
    case 'PROTO':
      client.esmtp = value.toUpperCase() === 'ESMTP';
      return /^(E?SMTP)?$/i.test(value);
    case 'LOGIN':
      client.login = value;
      return true;
    default:
      // IDENT and SOURCE tell of the mail's way inside the other MTA.
      return true;
  }
}

/** '' for an unavailable address, undefined for what is none. */
function forwardedIp(value: string): string | undefined {
  if (value === '') return '';
  const ip = value.replace(/^IPV6:/i, '');
  return isIP(ip) === 0 ? undefined : plainIp(ip);
}
