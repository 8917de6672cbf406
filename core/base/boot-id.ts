/** The kernel's name for the time since it started: what was not synced in an earlier one may be gone. */
import { readFileSync } from 'node:fs';
import { errnoOf } from './errors.ts';

/** Where the kernel tells no name; equal to no boot, not even itself. */
export const unknownBoot = 'unknown';

export function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return unknownBoot;
  }
}
