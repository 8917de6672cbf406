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
import { FromLine } from './from-line.ts';

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
