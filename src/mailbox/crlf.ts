/** LF line ends, as messages are stored, to the CRLF that clients are sent. A CRLF that a file holds stays one. */

import { toLf } from '../../core/mail/line-ends.ts';

const CR = 13;
const LF = 10;

/** Octets that `toCrlf` gives. */
export function crlfLength(bytes: Uint8Array): number {
  const view = bufferOf(bytes);
  let length = view.length;
  for (let at = view.indexOf(LF); at >= 0; at = view.indexOf(LF, at + 1)) {
    if (at === 0 || view[at - 1] !== CR) length += 1;
  }
  return length;
}

/** The other way round, in no time where there is no CRLF. Messages that clients are sent alike are alike here. */
export function withLf(bytes: Uint8Array): Buffer {
  const view = bufferOf(bytes);
  return view.includes('\r\n') ? bufferOf(toLf(view).bytes) : view;
}

/** In memory of its own. */
export function toCrlf(bytes: Uint8Array): Uint8Array {
  const text = crlfText(bytes);
  const result = Buffer.allocUnsafeSlow(text.length);
  result.write(text, 'latin1');
  return result;
}

/** The same, written into `target` from `start` on, which has room for twice the octets. @returns past the last octet */
export function writeCrlf(bytes: Uint8Array, target: Buffer, start: number): number {
  return start + target.write(crlfText(bytes), start, 'latin1');
}

/** By way of a string: as fast as a loop over octets that has become hot, from the first message on. */
function crlfText(bytes: Uint8Array): string {
  const text = bufferOf(bytes).toString('latin1');
  const lines = text.includes('\r\n') ? text.split(/\r?\n/) : text.split('\n');
  return lines.join('\r\n');
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
