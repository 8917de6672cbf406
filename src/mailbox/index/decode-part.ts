/** The text of one text part: transfer encoding and charset undone. RFC 2045 section 6, RFC 2046 section 4.1.2. */
import { isAscii } from 'node:buffer';
import type { MimePart } from '../../../core/mail/mime-structure.ts';

/** At most about `charactersMax` characters; never fails: octets that are wrong become replacement characters. */
export function decodePart(message: Buffer, part: MimePart, charactersMax: number): string {
  // Quoted-printable takes three octets for one, UTF-8 four at most.
  const octets = message.subarray(part.bodyStart, Math.min(part.end, part.bodyStart + charactersMax * 4));
  const charset = part.parameters.find(([name]) => name.toLowerCase() === 'charset')?.[1] ?? 'utf-8';
  const decoded = decodeTransfer(octets, part.encoding);
  const text = isPlain(decoded, charset) ? decoded.toString('latin1') : decoderFor(charset).decode(decoded);
  return text.length > charactersMax ? text.slice(0, charactersMax) : text;
}

/** US-ASCII is the same in all of these, and most mail. */
function isPlain(octets: Buffer, charset: string): boolean {
  return /^(utf-8|us-ascii|iso-8859-\d{1,2}|windows-125\d)$/i.test(charset) && isAscii(octets);
}

function decodeTransfer(octets: Buffer, encoding: string): Buffer {
  if (encoding === 'BASE64') return Buffer.from(octets.toString('latin1'), 'base64');
  return encoding === 'QUOTED-PRINTABLE' ? decodeQuotedPrintable(octets) : octets;
}

/** RFC 2045 section 6.7; what is no encoding stays as it is. */
function decodeQuotedPrintable(octets: Buffer): Buffer {
  if (!octets.includes(61)) return octets;
  const text = octets
    .toString('latin1')
    .replace(/[ \t]+(?=\r?\n|$)/g, '')
    .replace(/=\r?\n/g, '')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(text, 'latin1');
}

type Decoder = InstanceType<typeof TextDecoder>;

const decoders = new Map<string, Decoder>();
const decodersMax = 100;

/** UTF-8 where the charset is unknown; US-ASCII with 8-bit octets is mostly that as well. */
function decoderFor(charset: string): Decoder {
  const name = charset.toLowerCase();
  let decoder = decoders.get(name);
  if (decoder) return decoder;
  try {
    decoder = new TextDecoder(name === 'us-ascii' ? 'utf-8' : name);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    decoder = new TextDecoder('utf-8');
  }
  if (decoders.size < decodersMax) decoders.set(name, decoder);
  return decoder;
}
