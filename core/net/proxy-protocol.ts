/** The PROXY protocol header, versions 1 and 2, as HAProxy's proxy-protocol.txt specifies it: bytes in, addresses out. */
import { isIPv4, isIPv6 } from 'node:net';
import { proxyHeaderBytesMax } from '../base/limits/doors.ts';

export type ProxyHeader =
  /** The proxy speaks for itself (LOCAL, UNKNOWN): the socket's own addresses hold. */
  | { readonly kind: 'local'; readonly length: number }
  | {
      readonly kind: 'proxied';
      /** Octets of the header; the client's own bytes start there. */
      readonly length: number;
      readonly remoteIp: string;
      readonly remotePort: number;
      readonly localIp: string;
      readonly localPort: number;
    }
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'malformed'; readonly reason: string };

/** Reads the header at the start of `bytes`. Never reads past `proxyHeaderBytesMax`. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsLike(bytes, signature)) return bytes.length < 16 ? incomplete : parseBinary(bytes);
  if (startsLike(bytes, textPrefix)) return parseText(bytes);
  return malformed('no PROXY header');
}

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const textPrefix = Buffer.from('PROXY ', 'latin1');
const textBytesMax = 107;
const incomplete: ProxyHeader = { kind: 'incomplete' };

function malformed(reason: string): ProxyHeader {
  return { kind: 'malformed', reason };
}

/** True while what has arrived agrees with `prefix`. */
function startsLike(bytes: Buffer, prefix: Buffer): boolean {
  const shared = Math.min(bytes.length, prefix.length);
  return bytes.compare(prefix, 0, shared, 0, shared) === 0;
}

function parseText(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, textBytesMax).indexOf('\r\n');
  if (end === -1) return bytes.length < textBytesMax ? incomplete : malformed('PROXY line too long');
  const length = end + 2;
  const words = bytes.toString('latin1', 0, end).split(' ');
  const [, family, remoteIp = '', localIp = '', remotePort = '', localPort = ''] = words;
  if (family === 'UNKNOWN') return { kind: 'local', length };
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : undefined;
  if (isAddress === undefined || words.length !== 6) return malformed('unknown PROXY line');
  if (!isAddress(remoteIp) || !isAddress(localIp)) return malformed('bad address in PROXY line');
  if (!isPort(remotePort) || !isPort(localPort)) return malformed('bad port in PROXY line');
  return {
    kind: 'proxied',
    length,
    remoteIp,
    remotePort: Number(remotePort),
    localIp,
    localPort: Number(localPort),
  };
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

/** Section 2.2: signature, version and command, family and transport, length of addresses and TLVs. */
function parseBinary(bytes: Buffer): ProxyHeader {
  const versionAndCommand = bytes.readUInt8(12);
  const familyAndTransport = bytes.readUInt8(13);
  const length = 16 + bytes.readUInt16BE(14);
  if (versionAndCommand >> 4 !== 2) return malformed('unknown PROXY version');
  if (length > proxyHeaderBytesMax) return malformed('PROXY header too long');
  if (bytes.length < length) return incomplete;
  const command = versionAndCommand & 0x0f;
  if (command === 0) return { kind: 'local', length };
  if (command !== 1) return malformed('unknown PROXY command');
  // TLVs behind the addresses (checksum, TLS facts) are skipped by the length.
  if (familyAndTransport === 0x11) return proxied(bytes.subarray(16, length), length, 4, dottedQuad);
  if (familyAndTransport === 0x21) return proxied(bytes.subarray(16, length), length, 16, colonHex);
  return malformed('PROXY header for something other than TCP over IP');
}

function proxied(
  block: Buffer,
  length: number,
  size: number,
  format: (bytes: Buffer) => string,
): ProxyHeader {
  if (block.length < 2 * size + 4) return malformed('PROXY addresses cut short');
  return {
    kind: 'proxied',
    length,
    remoteIp: format(block.subarray(0, size)),
    localIp: format(block.subarray(size, 2 * size)),
    remotePort: block.readUInt16BE(2 * size),
    localPort: block.readUInt16BE(2 * size + 2),
  };
}

function dottedQuad(bytes: Buffer): string {
  return bytes.join('.');
}

/** RFC 5952 by way of the URL parser, which knows the longest run of zeros. */
function colonHex(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
