/** Reads the header of a message source, in memory or in a spool file, and judges it against the limits. RFC 5321 section 6.3. */
import { closeSync, openSync, readSync } from 'node:fs';
import { describeError, errnoOf, OperationalError } from '../base/errors.ts';
import { headerScanBytesMax } from '../base/limits/message.ts';
import type { Limits } from '../base/limits/settings.ts';
import { type HeaderBlock, headerTooLarge, parseHeader } from './header.ts';
import type { Reply } from './reply.ts';
import type { MessageSource } from './source.ts';

type HeaderLimits = Pick<Limits, 'headerBytesMax' | 'headerFieldsMax' | 'receivedFieldsMax'>;

/** Most headers fit into the first read of a spool file. */
const firstReadBytes = 64 * 1024;

/** The block of each source seen by this thread; a source is made once per message and never changes. */
const blocks = new WeakMap<MessageSource, HeaderBlock>();

/**
 * The header block of a source, read once per source object and thread. Where the header ends does not depend on
 * `limits`, so that everybody who opens a message sees the same fields.
 * @throws OperationalError `header-too-large` past `headerScanBytesMax`, or past `limits.headerBytesMax` where
 * limits are given; `spool-unreadable`.
 */
export function readHeader(source: MessageSource, limits?: Pick<Limits, 'headerBytesMax'>): HeaderBlock {
  let block = blocks.get(source);
  if (!block) {
    const beginning = source.kind === 'memory' ? messageBytes(source) : readBeginning(source);
    const parsed = parseHeader(beginning, headerScanBytesMax);
    if (parsed === headerTooLarge) throw tooLarge(headerScanBytesMax);
    block = parsed;
    blocks.set(source, block);
  }
  if (limits && block.bytes.length > limits.headerBytesMax) throw tooLarge(limits.headerBytesMax);
  return block;
}

/**
 * The refusal a message deserves for its header alone, before any plugin sees it; undefined when it may pass.
 * @throws OperationalError `spool-unreadable`.
 */
export function judgeHeader(source: MessageSource, limits: HeaderLimits): Reply | undefined {
  let block: HeaderBlock;
  try {
    block = readHeader(source, limits);
  } catch (error) {
    if (!(error instanceof OperationalError) || error.code !== 'header-too-large') throw error;
    // RFC 3463 X.3.4: message too big for system.
    return { code: 552, enhanced: '5.3.4', text: error.clientText };
  }
  if (block.starts.length > limits.headerFieldsMax) {
    return { code: 554, enhanced: '5.6.0', text: `more than ${limits.headerFieldsMax} header fields` };
  }
  // RFC 5321 section 6.3; RFC 3463 X.4.6: routing loop detected.
  if (block.countNamed('received') > limits.receivedFieldsMax) {
    const text = `routing loop: more than ${limits.receivedFieldsMax} Received fields`;
    return { code: 554, enhanced: '5.4.6', text };
  }
  return undefined;
}

/** A view on a message in shared memory: for reading only. */
export function messageBytes(source: Extract<MessageSource, { kind: 'memory' }>): Buffer {
  return Buffer.from(source.buffer, source.offset, source.length);
}

/** What an unreadable spool file means to whoever waits for the message. */
export function spoolError(error: unknown): OperationalError {
  return new OperationalError('spool-unreadable', `cannot read the spool file: ${describeError(error)}`, {
    temporary: true,
    clientText: 'message is not readable now, try again later',
    facts: { errno: errnoOf(error) ?? 'unknown' },
    cause: error,
  });
}

function tooLarge(bytesMax: number): OperationalError {
  return new OperationalError('header-too-large', `the header is larger than ${bytesMax} octets`, {
    temporary: false,
    clientText: `message header larger than ${bytesMax} octets`,
    facts: { headerBytesMax: bytesMax },
  });
}

function readBeginning(source: Extract<MessageSource, { kind: 'file' }>): Buffer {
  const wanted = Math.min(source.length, headerScanBytesMax + 2);
  const small = readPrefix(source.path, Math.min(wanted, firstReadBytes));
  // Only an empty line ends a header for certain; without one the rest may hold it.
  const ends = small.indexOf('\n\r\n') >= 0 || small.indexOf('\n\n') >= 0;
  return ends || small.length === wanted ? small : readPrefix(source.path, wanted);
}

function readPrefix(path: string, length: number): Buffer {
  const buffer = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  try {
    const file = openSync(path, 'r');
    try {
      while (filled < length) {
        const count = readSync(file, buffer, filled, length - filled, filled);
        if (count === 0) throw new Error(`the file ends at ${filled} octets`);
        filled += count;
      }
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw spoolError(error);
  }
  return buffer;
}
