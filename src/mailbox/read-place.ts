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
    let end = 0;
    // A network's file system may give less than there is: only nothing is the end of the file, read(2).
    for (let read = -1; read !== 0 && end < octetsMax; end += read)
      read = readSync(fd, messageBuffer, end, octetsMax - end, end);
    return use(messageBuffer.subarray(0, end), end < octetsMax);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

const messageBuffer = Buffer.allocUnsafeSlow(indexLimits.messageBytes);
