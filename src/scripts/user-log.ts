/** What went wrong with a user's scripts, for that user to read: a file beside the active one, as Pigeonhole has it. */
import { mkdir, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { scriptLimits } from '../../core/base/limits/rules.ts';
import { openUserLog } from './user-file.ts';

/** @param active the file that the log lies beside. One line a note. A log that has grown long becomes `.log.0`, in the place of the one before it. */
export async function noteForUser(active: string, text: string, nowMs: number): Promise<void> {
  const path = `${active}.log`;
  const line = `${new Date(nowMs).toISOString()} ${text.replace(/\s+/g, ' ').slice(0, scriptLimits.noteCharactersMax)}\n`;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  let handle = await openUserLog(path);
  try {
    if ((await handle.stat()).size > scriptLimits.userLogBytesMax) {
      await rename(path, `${path}.0`);
      await handle.close();
      handle = await openUserLog(path);
    }
    await handle.appendFile(line);
  } finally {
    await handle.close();
  }
}
