/** Length and CRC-32 of octets as they come: enough to tell what a crash left, which is no adversary. */
import { crc32 } from 'node:zlib';

export interface Checksum {
  readonly length: number;
  readonly crc32: number;
}

export async function checksumOf(chunks: AsyncIterable<Uint8Array>): Promise<Checksum> {
  let length = 0;
  let checksum = 0;
  for await (const chunk of chunks) {
    length += chunk.length;
    checksum = crc32(chunk, checksum);
  }
  return { length, crc32: checksum };
}
