/**
 * The doubt after a failed sync, kept beyond the process: the kernel may hold pages for clean that never reached the
 * disk, and a process that starts anew would believe the marks and the next sync. It lasts until every copy was written
 * again and synced. Not synced itself: a power cut ends the doubt, since what is read after it comes from the disk.
 */
import { closeSync, existsSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../core/base/errors.ts';
import { doneName } from './journal-segments.ts';

export interface Doubt {
  /** Marks are not to be believed, and copies are to be written again before the next sync. */
  readonly standing: boolean;
  /**
   * @param segments paths of those with records
   * @returns false when it could not be kept, and at best the marks of these segments were removed
   */
  raise(segments: readonly string[]): boolean;
  /** To be called after a sync of copies that were all written again. @throws system errors: then it stands on */
  settle(): void;
}

/** @param directory absolute: the journal's */
export function createDoubt(directory: string): Doubt {
  const path = join(directory, 'doubt');
  let standing = existsSync(path);
  return {
    get standing() {
      return standing;
    },
    raise(segments) {
      standing = true;
      try {
        closeSync(openSync(path, 'a', 0o600));
        return true;
      } catch (error) {
        if (errnoOf(error) === undefined) throw error;
        removeMarks(segments);
        return false;
      }
    },
    settle() {
      rmSync(path, { force: true });
      standing = false;
    },
  };
}

/** Without marks a replay compares every copy with its record. */
function removeMarks(segments: readonly string[]): void {
  for (const segment of segments) {
    try {
      rmSync(doneName(segment), { force: true });
    } catch (error) {
      // On a file system that takes no changes nothing more can be done.
      if (errnoOf(error) === undefined) throw error;
    }
  }
}
