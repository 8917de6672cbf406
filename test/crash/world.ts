/** A world that a power cut may leave, put on disk for a server to start in. */
import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readBootId } from '../../core/base/boot-id.ts';
import type { World } from './disk.ts';

/** The files of the world in place of those that are there; config and users stay. */
export function restore(world: World, root: string): void {
  const folders = ['data', 'mail'].map((folder) => join(root, folder));
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  for (const [path, octets] of world) {
    if (!folders.some((folder) => path === folder || path.startsWith(`${folder}/`))) continue;
    if (octets === undefined) mkdirSync(path, { recursive: true });
    else
      writeFileSync(path, path.endsWith('.done') || path.endsWith('.lock') ? ofAnotherBoot(octets) : octets);
    // The machine was off for a while: dot locks are those of before.
    if (octets && path.endsWith('.lock')) utimesSync(path, 1, 1);
  }
}

/** After a power cut the kernel's name for its run is another. */
function ofAnotherBoot(octets: Buffer): Buffer {
  const bootId = readBootId();
  return Buffer.from(octets.toString('latin1').replaceAll(bootId, bootId.replace(/./g, '0')), 'latin1');
}
