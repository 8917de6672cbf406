/** Header fields between the milter protocol (name and value, folds with LF) and a message (octets, CRLF). */

const LF = 10;
const CR = 13;
const SPACE = 32;
const TAB = 9;
const colon = Buffer.from(':');
const colonSpace = Buffer.from(': ');
const crlf = Buffer.from('\r\n');

/**
 * The octets of a field as the MTA has it.
 * @param leadingSpace the value brings the white space after the colon; else one space stood there
 */
export function fieldOctets(name: Buffer, value: Buffer, leadingSpace: boolean): Buffer {
  return Buffer.concat([name, leadingSpace ? colon : colonSpace, withCrlf(value), crlf]);
}

/** A field's octets as a value for the MTA: folds with LF, the white space after the colon only where agreed on. */
export function fieldValueOf(octets: Buffer, leadingSpace: boolean): Buffer {
  let end = octets.length;
  if (octets[end - 1] === LF) end -= octets[end - 2] === CR ? 2 : 1;
  let start = octets.indexOf(58) + 1;
  if (!leadingSpace) while (octets[start] === SPACE || octets[start] === TAB) start += 1;
  return withLf(octets.subarray(start, end));
}

/** Line ends in a value are folds: a line that does not begin with white space would be a field of its own. */
function withCrlf(value: Buffer): Buffer {
  if (!value.includes(LF)) return value;
  const lines: Buffer[] = [];
  for (let at = 0; at <= value.length; ) {
    const found = value.indexOf(LF, at);
    const end = found < 0 ? value.length : found;
    const line = value.subarray(at, value[end - 1] === CR && end > at ? end - 1 : end);
    const folded = line[0] === SPACE || line[0] === TAB;
    if (at > 0) lines.push(folded ? crlf : Buffer.from('\r\n\t'));
    lines.push(line);
    at = end + 1;
  }
  return Buffer.concat(lines);
}

function withLf(value: Buffer): Buffer {
  if (!value.includes(CR)) return value;
  return Buffer.from(value.toString('latin1').replaceAll('\r\n', '\n'), 'latin1');
}
