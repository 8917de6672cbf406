/** Content-Transfer-Encodings taken off: what BINARY, previews and searches look into. RFC 2045 section 6. */

/** Undefined for an encoding that is not known. Broken input is decoded as far as it goes; linear time. */
export function decodeTransfer(octets: Buffer, encoding: string): Buffer | undefined {
  switch (encoding.toUpperCase()) {
    case '7BIT':
    case '8BIT':
    case 'BINARY':
      return octets;
    case 'BASE64':
      return decodeBase64Body(octets);
    case 'QUOTED-PRINTABLE':
      return decodeQuotedPrintable(octets);
    default:
      return undefined;
  }
}

/** Groups end at padding: encoders that were joined leave it in the middle. RFC 2045 section 6.8. */
function decodeBase64Body(octets: Buffer): Buffer {
  const text = octets.toString('latin1').replace(/[^A-Za-z0-9+/=]+/g, '');
  if (!/=[A-Za-z0-9+/]/.test(text)) return Buffer.from(text, 'base64');
  return Buffer.concat(
    text
      .split(/=+/)
      .filter((run) => run !== '')
      .map((run) => Buffer.from(run, 'base64')),
  );
}

const LF = 10;
const CR = 13;
const EQUALS = 61;

/** RFC 2045 section 6.7: white space at the end of a line goes, `=` at its end joins it to the next. */
function decodeQuotedPrintable(octets: Buffer): Buffer {
  const out = Buffer.alloc(octets.length);
  let length = 0;
  /** Past the last octet that is not white space before a line end. */
  let kept = 0;
  for (let at = 0; at < octets.length; at += 1) {
    const octet = octets[at]!;
    if (octet === EQUALS) {
      const softBreak = softBreakEnd(octets, at + 1);
      const value = softBreak > 0 ? -1 : hexValue(octets[at + 1]) * 16 + hexValue(octets[at + 2]);
      if (softBreak > 0) at = softBreak - 1;
      else if (value >= 0) {
        out[length++] = value;
        at += 2;
      } else out[length++] = octet;
      kept = length;
    } else if (octet === LF || octet === CR) {
      if (octet === LF || octets[at + 1] === LF) length = kept;
      out[length++] = octet;
      kept = length;
    } else {
      out[length++] = octet;
      if (octet !== 32 && octet !== 9) kept = length;
    }
  }
  return out.subarray(0, length);
}

/** Past the line end that a `=` takes away, white space before it too; 0 when there is none. */
function softBreakEnd(octets: Buffer, start: number): number {
  let at = start;
  while (at - start < 100 && (octets[at] === 32 || octets[at] === 9)) at += 1;
  if (octets[at] === CR && octets[at + 1] === LF) return at + 2;
  return octets[at] === LF || at >= octets.length ? Math.min(at + 1, octets.length) : 0;
}

/** Far below zero for what is no hexadecimal digit, so that a sum with it is, too. */
function hexValue(octet: number | undefined): number {
  if (octet === undefined) return -1000;
  if (octet >= 48 && octet <= 57) return octet - 48;
  const lower = octet | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1000;
}
