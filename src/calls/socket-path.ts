/** Where the mta listens for other roles. */
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';

/** sun_path of unix(7) holds 108 octets with its end. */
const socketPathBytesMax = 107;

/** A path for bind and connect, good until it is released: a long one is reached through its open folder. */
export function callSocket(runDirectory: string): { readonly path: string; release(): void } {
  const path = join(runDirectory, 'mta.sock');
  if (Buffer.byteLength(path) <= socketPathBytesMax) return { path, release: () => {} };
  const folder = openSync(runDirectory, 'r');
  return { path: `/proc/self/fd/${folder}/mta.sock`, release: () => closeSync(folder) };
}
