/** A small file system for tests of full ones: a tmpfs, which root may mount. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { requirePeer } from '../kit/require.ts';

/**
 * A directory on a small file system of its own; undefined after skipping.
 * @param directory absolute, made when missing; a new one when not given
 */
export function smallDisk(
  t: TestContext,
  kibibytes: number,
  directory = mkdtempSync(join(tmpdir(), 'full-')),
): string | undefined {
  mkdirSync(directory, { recursive: true });
  const mounted =
    process.getuid?.() === 0 &&
    spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${kibibytes}k`, 'tmpfs', directory]).status === 0;
  t.after(() => {
    if (mounted) spawnSync('umount', ['-l', directory]);
    rmSync(directory, { recursive: true, force: true });
  });
  return requirePeer(t, 'the right to mount a tmpfs (root)', mounted) ? directory : undefined;
}

/** Takes all the space that is left; answers the file to be removed for it to return. */
export function fill(directory: string): string {
  const path = join(directory, 'filler');
  const { bavail, bsize } = statfsSync(directory);
  writeFileSync(path, Buffer.alloc(bavail * bsize));
  return path;
}
