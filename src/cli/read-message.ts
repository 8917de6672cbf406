/** The message that a command is given on standard input. */
import type { MessageSource } from '../../core/mail/source.ts';
import { CommandError, exitCodes } from './exit-codes.ts';

/** The message in shared memory, line ends as the plugins expect them; output will have those of the input. */
export async function readMessage(
  bytesMax: number,
): Promise<{ source: Extract<MessageSource, { kind: 'memory' }>; lineEnds: 'crlf' | 'lf' }> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > bytesMax) {
      throw new CommandError(
        exitCodes.dataError,
        `the message is larger than messageBytesMax (${bytesMax} octets)`,
      );
    }
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('latin1');
  if (text === '') throw new CommandError(exitCodes.noInput, 'there is no message on standard input');
  const canonical = text.replace(/\r?\n/g, '\r\n');
  const buffer = new SharedArrayBuffer(canonical.length);
  Buffer.from(buffer).write(canonical, 'latin1');
  const lineEnds = text.includes('\r\n') ? 'crlf' : 'lf';
  return { source: { kind: 'memory', buffer, offset: 0, length: canonical.length }, lineEnds };
}
