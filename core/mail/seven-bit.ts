/**
 * A message made 7-bit for a server without 8BITMIME: its 8-bit parts encoded, their fields corrected, nothing else
 * touched. RFC 6152 section 3, RFC 2045 section 6, RFC 1428.
 */
import { isIdentity, type ScannedPart, scanMime } from './mime-scan.ts';
import { createTransferEncoder, type TransferEncoder } from './transfer-encoder.ts';

/** Octets from `start` up to `end` (not included) that go out otherwise; nothing is taken out where they are equal. */
export type SevenBitChange = { readonly start: number; readonly end: number } & (
  | { readonly put: Buffer }
  | { readonly encode: 'quoted-printable' | 'base64' }
);

/** The changes in the order of the octets; `needless` where the body is 7-bit already. */
export type SevenBitPlan = readonly SevenBitChange[] | 'needless' | 'impossible';

/**
 * What must change. All or nothing: a message converted in part would still need 8BITMIME, and have lost its signatures
 * for it.
 * @param chunks of the whole message, CRLF line ends
 */
export async function planSevenBit(chunks: AsyncIterable<Uint8Array>): Promise<SevenBitPlan> {
  const parts = await scanMime(chunks);
  if (parts === undefined) return 'impossible';
  const eightBit = parts.filter(({ counts }) => counts.eightBit > 0);
  if (eightBit.length === 0) return 'needless';
  if (!eightBit.every(isConvertible)) return 'impossible';
  // Where readers differ on what a composite part holds, a part of it would be decoded by some and not by others.
  const composite = parts.filter(({ kind }) => kind !== 'leaf');
  if (!composite.every(({ isSound, encoding }) => isSound && isIdentity(encoding))) return 'impossible';
  return parts
    .flatMap((part) => changesOf(part, eightBit))
    .sort((a, b) => a.start - b.start || a.end - b.end);
}

/** The message with the changes of a plan that was made for the same octets; bounded memory. */
export async function* streamSevenBit(
  chunks: AsyncIterable<Uint8Array>,
  changes: readonly SevenBitChange[],
): AsyncGenerator<Uint8Array, void> {
  let index = 0;
  let at = 0;
  let encoder: TransferEncoder | undefined;
  for await (const chunk of chunks) {
    const chunkEnd = at + chunk.length;
    const upTo = (offset: number): Uint8Array => {
      const taken = chunk.subarray(chunk.length - (chunkEnd - at), chunk.length - (chunkEnd - offset));
      at = offset;
      return taken;
    };
    for (let change = changes[index]; change && change.start < chunkEnd; change = changes[index]) {
      if (at < change.start) yield upTo(change.start);
      const taken = upTo(Math.min(change.end, chunkEnd));
      if ('encode' in change) {
        encoder ??= createTransferEncoder(change.encode);
        yield encoder.write(taken);
      }
      if (at < change.end) break;
      if ('put' in change) yield change.put;
      else if (encoder) yield encoder.end();
      encoder = undefined;
      index += 1;
    }
    if (at < chunkEnd) yield upTo(chunkEnd);
  }
}

/** A leaf that may be encoded. */
function isConvertible({ kind, type, encoding, isSound, isProtected }: ScannedPart): boolean {
  if (kind !== 'leaf' || !isSound || isProtected || !isIdentity(encoding)) return false;
  if (type.startsWith('MULTIPART/')) return false;
  // RFC 2046 section 5.2: message/* must not be encoded. RFC 6532 section 3.7 and RFC 6533: message/global* may.
  return !type.startsWith('MESSAGE/') || isGlobal(type);
}

function isGlobal(type: string): boolean {
  return /^MESSAGE\/GLOBAL(?:-|$)/.test(type);
}

function changesOf(part: ScannedPart, eightBit: readonly ScannedPart[]): SevenBitChange[] {
  const { bodyStart, end, fieldsEnd, encodingField, isProtected, isSound, saysType } = part;
  if (isProtected || !isSound) return [];
  const encode = encodingOf(part);
  const label = encode ?? (isTooWide(part) ? '7bit' : undefined);
  const field = label && `Content-Transfer-Encoding: ${label}\r\n`;
  const added: string[] = [];
  if (part.lacksVersion && eightBit.some((each) => isWithin(each, part))) added.push('MIME-Version: 1.0\r\n');
  // RFC 1428: a character set that nobody named is called unknown.
  if (encode && !saysType) added.push('Content-Type: text/plain; charset=unknown-8bit\r\n');
  if (field && !encodingField) added.push(field);
  return [
    ...(field && encodingField ? [{ ...encodingField, put: Buffer.from(field) }] : []),
    ...(added.length > 0 ? [{ start: fieldsEnd, end: fieldsEnd, put: Buffer.from(added.join('')) }] : []),
    ...(encode ? [{ start: bodyStart, end, encode }] : []),
  ];
}

/** RFC 2045 section 2.7: lines of 7bit have 998 octets at most, and no NUL. */
const lineOctetsMax = 998;

function encodingOf(part: ScannedPart): 'quoted-printable' | 'base64' | undefined {
  const { type, counts } = part;
  const isSevenBit = counts.nuls === 0 && counts.lineOctetsMax <= lineOctetsMax;
  if (counts.eightBit === 0 && (!isTooWide(part) || isSevenBit || !isConvertible(part))) return undefined;
  if (!type.startsWith('TEXT/') && !isGlobal(type)) return 'base64';
  // Base64 takes a third more whatever the octets are, quoted-printable two more for each that it quotes.
  return counts.quoted * 3 > counts.octets ? 'base64' : 'quoted-printable';
}

/** Says that it needs more than 7 bits, or lines without limit. */
function isTooWide({ encoding }: ScannedPart): boolean {
  return encoding === '8BIT' || encoding === 'BINARY';
}

function isWithin(inner: ScannedPart, outer: ScannedPart): boolean {
  return inner.bodyStart >= outer.bodyStart && inner.end <= outer.end;
}
