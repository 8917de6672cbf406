/** Octets of messages as they are stored, read into memory that each thread has once: most fit, and none is looked at before it is opened. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { errnoOf } from '../../core/base/errors.ts';
import { indexLimits } from '../../core/base/limits/mailbox.ts';
import type { MessagePlace } from './engine.ts';

/** Undefined when another program moved the message. Not to be kept: the next one takes its place. @throws system errors */
export function octetsAt(place: MessagePlace): Uint8Array | undefined {
  if ('octets' in place) return place.octets;
  return readBegin(place.path, messageBuffer.length, (begin, isWhole) =>
    isWhole ? begin : readFileSync(place.path),
  );
}

/** The begin of a message, its header in it. Else as `octetsAt`. */
export function headerAt(place: MessagePlace): Uint8Array | undefined {
  if ('octets' in place) return place.octets;
  return readBegin(place.path, indexLimits.headerBytes, (begin, isWhole) => {
    // A header that does not end there is read with all the rest.
    const ends = isWhole || begin.includes('\n\n') || begin.includes('\n\r\n');
    return ends ? begin : readFileSync(place.path);
  });
}

function readBegin<T>(
  path: string,
  octetsMax: number,
  use: (begin: Buffer, isWhole: boolean) => T,
): T | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    const read = readSync(fd, messageBuffer, 0, octetsMax, 0);
    return use(messageBuffer.subarray(0, read), read < octetsMax);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

const messageBuffer = Buffer.allocUnsafeSlow(indexLimits.messageBytes);
