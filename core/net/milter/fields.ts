/** Strings that end with NUL, and numbers, in the data of a packet. */
import { isUtf8 } from 'node:buffer';
import { MilterWireError } from './wire-error.ts';

/** Octets of the string at an offset, without its NUL, and where the next begins. */
export function stringAt(data: Buffer, start: number, what: string): { value: Buffer; next: number } {
  const end = data.indexOf(0, start);
  if (end < 0) throw new MilterWireError(`${what} does not end`);
  return { value: data.subarray(start, end), next: end + 1 };
}

/** All strings of the data; the last may lack its NUL, as some MTAs leave it out. */
export function stringsIn(data: Buffer, most: number, what: string): string[] {
  const strings: string[] = [];
  for (let at = 0; at < data.length; ) {
    const found = data.indexOf(0, at);
    const end = found < 0 ? data.length : found;
    if (strings.length === most) throw new MilterWireError(`${what} of more than ${most} strings`);
    strings.push(textOf(data.subarray(at, end)));
    at = end + 1;
  }
  return strings;
}

/** Text of octets: UTF-8 (RFC 6532), and what is none as Latin-1. */
export function textOf(octets: Buffer): string {
  return octets.toString(isUtf8(octets) ? 'utf8' : 'latin1');
}

export function uint32At(data: Buffer, at: number, what: string): number {
  if (data.length < at + 4) throw new MilterWireError(`${what} is cut short`);
  return data.readUInt32BE(at);
}

export function uint32(value: number): Buffer {
  const octets = Buffer.allocUnsafe(4);
  octets.writeUInt32BE(value, 0);
  return octets;
}

/** A string of a packet must not hold NUL: the rest of it would be read as something else. */
export function terminated(text: string, what: string): string {
  if (text.includes('\0')) throw new MilterWireError(`${what} holds NUL`);
  return `${text}\0`;
}
