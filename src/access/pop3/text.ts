/** Multi-line answers: a dot before a dot that begins a line, and one alone at the end. RFC 1939 section 3. */

const LF = 10;
const DOT = 46;
const terminator = Buffer.from('.\r\n');
const lineEnd = Buffer.from('\r\n');
const dot = Buffer.from('.');

/** @param octets CRLF line ends */
export function multiline(octets: Buffer): Buffer {
  const pieces: Buffer[] = [];
  let from = 0;
  if (octets[0] === DOT) pieces.push(dot);
  for (let at = octets.indexOf('\n.'); at >= 0; at = octets.indexOf('\n.', at + 1)) {
    pieces.push(octets.subarray(from, at + 1), dot);
    from = at + 1;
  }
  pieces.push(octets.subarray(from));
  if (octets.length > 0 && octets.at(-1) !== LF) pieces.push(lineEnd);
  pieces.push(terminator);
  return Buffer.concat(pieces);
}

/** The header, the empty line, and so many lines of the body. */
export function firstLines(octets: Buffer, count: number): Buffer {
  const empty = octets.indexOf('\r\n\r\n');
  if (empty < 0) return octets;
  let at = empty + 4;
  for (let line = 0; line < count && at < octets.length; line += 1) {
    const end = octets.indexOf(LF, at);
    at = end < 0 ? octets.length : end + 1;
  }
  return octets.subarray(0, at);
}
