/** The message that a command is given on standard input. */
import { type MemorySource, memorySource } from '../../core/mail/source.ts';
import { CommandError, exitCodes } from './exit-codes.ts';

/** The message in shared memory, line ends as the plugins expect them; output will have those of the input. */
export async function readMessage(
  bytesMax: number,
): Promise<{ source: MemorySource; lineEnds: 'crlf' | 'lf' }> {
  const octets = await readInput(bytesMax);
  return { source: inMemory(octets), lineEnds: octets.includes('\r\n') ? 'crlf' : 'lf' };
}

/** @throws CommandError when there is nothing, or more than `bytesMax` octets */
export async function readInput(bytesMax: number): Promise<Buffer> {
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
  if (length === 0) throw new CommandError(exitCodes.noInput, 'there is no message on standard input');
  return Buffer.concat(chunks);
}

/** As a door would hand it in: CRLF line ends. */
export function inMemory(octets: Buffer): MemorySource {
  return memorySource(Buffer.from(octets.toString('latin1').replace(/\r?\n/g, '\r\n'), 'latin1'));
}
