/**
 * Octets as text without loss: UTF-8, and an octet that is none becomes the lone surrogate U+DC80 to U+DCFF. Scripts
 * and messages hold such octets, and they must compare as what they are. RFC 5228 section 2.1.
 */
import { isUtf8 } from 'node:buffer';

/** Text of octets; `textOctets` gives the same octets back. */
export function octetsText(octets: Uint8Array): string {
  const bytes = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
  if (isUtf8(bytes)) return bytes.toString('utf8');
  let text = '';
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes, at);
    if (length === 0) {
      text += String.fromCharCode(0xdc00 + bytes[at]!);
      at += 1;
      continue;
    }
    let end = at + length;
    for (let next = sequenceLength(bytes, end); next > 0 && end < bytes.length; ) {
      end += next;
      next = end < bytes.length ? sequenceLength(bytes, end) : 0;
    }
    text += bytes.toString('utf8', at, end);
    at = end;
  }
  return text;
}

/** Octets of a text: UTF-8, and the octets that were none as they were. */
export function textOctets(text: string): Buffer {
  if (!hasBadOctets(text)) return Buffer.from(text, 'utf8');
  const pieces: Buffer[] = [];
  for (const piece of text.split(/([\udc80-\udcff]+)/u)) {
    const bad = /^[\udc80-\udcff]/u.test(piece);
    pieces.push(
      bad ? Buffer.from(piece.split('').map((unit) => unit.charCodeAt(0) & 0xff)) : Buffer.from(piece),
    );
  }
  return Buffer.concat(pieces);
}

/** True where the text holds octets that are no UTF-8. */
export function hasBadOctets(text: string): boolean {
  return !text.isWellFormed();
}

/** Length of the UTF-8 sequence that begins at `at`, 0 where none does. RFC 3629 section 4. */
function sequenceLength(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0xff;
  const length =
    first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length < 2) return length;
  return at + length <= bytes.length && isUtf8(bytes.subarray(at, at + length)) ? length : 0;
}

/** Number of characters: code points, not UTF-16 units. */
export function countCharacters(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    const pair = unit >= 0xd800 && unit < 0xdc00 && at + 1 < text.length;
    if (pair && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00) at++;
    count++;
  }
  return count;
}

/** At most that many octets of a text, characters kept whole. */
export function cutToOctets(text: string, octetsMax: number): string {
  if (text.length * 3 <= octetsMax) return text;
  const octets = textOctets(text);
  if (octets.length <= octetsMax) return text;
  let end = octetsMax;
  while (end > 0 && (octets[end]! & 0xc0) === 0x80) end--;
  return octetsText(octets.subarray(0, end));
}

/** A text for messages: cut, control characters and bad octets as `?`. */
export function shown(text: string, charactersMax = 80): string {
  const cut = text.length > charactersMax ? `${text.slice(0, charactersMax - 3)}...` : text;
  return cut.toWellFormed().replace(/[\x00-\x1f\x7f\ufffd]/g, '?');
}
