/** LF line ends, as messages are stored, to the CRLF that clients are sent. A CRLF that a file holds stays one. */

const CR = 13;
const LF = 10;

/** Octets that `toCrlf` gives. */
export function crlfLength(bytes: Uint8Array): number {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let length = view.length;
  for (let at = view.indexOf(LF); at >= 0; at = view.indexOf(LF, at + 1)) {
    if (at === 0 || view[at - 1] !== CR) length += 1;
  }
  return length;
}

/** In memory of its own, which may be transferred. */
export function toCrlf(bytes: Uint8Array): Uint8Array {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const result = new Uint8Array(crlfLength(view));
  let written = 0;
  let begin = 0;
  for (let at = view.indexOf(LF); at >= 0; at = view.indexOf(LF, at + 1)) {
    if (at > 0 && view[at - 1] === CR) continue;
    result.set(view.subarray(begin, at), written);
    written += at - begin;
    result[written++] = CR;
    result[written++] = LF;
    begin = at + 1;
  }
  result.set(view.subarray(begin), written);
  return result;
}
