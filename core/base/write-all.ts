/** Writing all octets of several buffers to a file: a short write goes on where it stopped, one that writes nothing is an error. */
import { writev, writevSync } from 'node:fs';

/** writev(2) takes at most IOV_MAX buffers. */
const buffersMax = 1024;

/**
 * @param position octets from the start of the file; undefined writes where the file stands (appends with O_APPEND)
 * @throws the system error of the write
 */
export async function writeAll(fd: number, buffers: readonly Uint8Array[], position?: number): Promise<void> {
  let rest = buffers.filter((buffer) => buffer.length > 0);
  let at = position;
  while (rest.length > 0) {
    const written = await writeSome(fd, rest.slice(0, buffersMax), at);
    rest = after(rest, written);
    if (at !== undefined) at += written;
  }
}

/** As `writeAll`, blocking. */
export function writeAllSync(fd: number, buffers: readonly Uint8Array[], position?: number): void {
  let rest = buffers;
  let at = position;
  while (rest.length > 0) {
    const batch = rest.length > buffersMax ? rest.slice(0, buffersMax) : rest;
    const written = writevSync(fd, batch as Uint8Array[], at);
    rest = after(rest, written);
    if (at !== undefined) at += written;
  }
}

function writeSome(fd: number, buffers: Uint8Array[], position: number | undefined): Promise<number> {
  return new Promise((resolve, reject) => {
    writev(fd, buffers, position ?? null, (error, written) => (error ? reject(error) : resolve(written)));
  });
}

/** What is left once that many octets are written. Empty buffers count as written. */
function after(buffers: readonly Uint8Array[], written: number): Uint8Array[] {
  let left = written;
  let index = 0;
  while (index < buffers.length && buffers[index]!.length <= left) {
    left -= buffers[index]!.length;
    index += 1;
  }
  if (index === buffers.length) return [];
  if (written === 0) throw Object.assign(new Error('write made no progress'), { code: 'EIO' });
  const rest = buffers.slice(index);
  rest[0] = rest[0]!.subarray(left);
  return rest;
}
