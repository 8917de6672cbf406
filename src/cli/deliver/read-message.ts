/** The message from standard input: CRLF line ends, the MTA's From_ line taken off; in memory while small, else in a file. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spoolWriteBytesMax } from '../../../core/base/limits/flow.ts';
import { defaultLimits } from '../../../core/base/limits/settings.ts';
import { CrlfConverter } from '../../../core/mail/line-ends.ts';
import type { MessageSource } from '../../../core/mail/source.ts';
import { createSlots } from '../../flow/slots.ts';
import { SpoolSink } from '../../flow/spool-sink.ts';
import { DeliveryError, deliveryCodes } from './delivery-error.ts';

export interface IncomingMessage {
  readonly source: MessageSource;
  /** Reverse-path in the From_ line; undefined without one. */
  readonly fromLineSender: string | undefined;
  /** Removes the file, if there is one. */
  release(): void;
}

/** @throws DeliveryError EX_UNAVAILABLE for a message above `bytesMax` octets */
export async function readMessage(input: AsyncIterable<Buffer>, bytesMax: number): Promise<IncomingMessage> {
  let folder: string | undefined;
  const sink = new SpoolSink(
    createSlots(defaultLimits),
    () => {
      // Of its own and closed to others: the name in a shared folder must not be known before.
      folder = mkdtempSync(join(tmpdir(), 'mailfilter-'));
      return join(folder, 'message');
    },
    spoolWriteBytesMax,
  );
  const release = () => {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  };
  try {
    const fromLine = new FromLine();
    const lines = new CrlfConverter();
    const take = async (chunk: Uint8Array) => {
      if (sink.length + chunk.length > bytesMax) {
        throw new DeliveryError(deliveryCodes.unavailable, `larger than ${bytesMax} octets`, '5.3.4');
      }
      if (chunk.length > 0) await sink.write(chunk);
    };
    for await (const chunk of input) await take(lines.convert(fromLine.strip(chunk)));
    await take(lines.convert(fromLine.end()));
    const { source } = await sink.finish();
    return { source, fromLineSender: fromLine.sender, release };
  } catch (error) {
    sink.abort();
    release();
    throw error;
  }
}

/** `From sender date` as an mbox has it, before the header; local(8) and sendmail put it there. */
class FromLine {
  sender: string | undefined;
  #held: Buffer | undefined = Buffer.alloc(0);

  strip(chunk: Buffer): Buffer {
    if (this.#held === undefined) return chunk;
    const whole = Buffer.concat([this.#held, chunk]);
    const start = whole.subarray(0, opening.length);
    const begins = opening.subarray(0, start.length).equals(start);
    const end = whole.indexOf(10);
    if (begins && end === -1 && whole.length < fromLineBytesMax) {
      this.#held = whole;
      return Buffer.alloc(0);
    }
    this.#held = undefined;
    if (!begins || end === -1) return whole;
    const [sender = ''] = whole.subarray(opening.length, end).toString('utf8').trim().split(/\s+/, 1);
    this.sender = sender.toUpperCase() === 'MAILER-DAEMON' ? '' : sender.replace(/^<(.*)>$/, '$1');
    return whole.subarray(end + 1);
  }

  end(): Buffer {
    const rest = this.#held ?? Buffer.alloc(0);
    this.#held = undefined;
    return rest;
  }
}

const opening = Buffer.from('From ');
/** A reverse-path of 256 octets (RFC 5321 section 4.5.3.1.3), a date, and room. */
const fromLineBytesMax = 4096;
