/** What went wrong with a user's scripts, for that user to read: a file beside the active one, as Pigeonhole has it. */
import { appendFile, mkdir, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from '../../core/base/errors.ts';
import { scriptLimits } from '../../core/base/limits/rules.ts';

/** @param active the file that the log lies beside. One line a note. A log that has grown long becomes `.log.0`, in the place of the one before it. */
export async function noteForUser(active: string, text: string, nowMs: number): Promise<void> {
  const path = `${active}.log`;
  const line = `${new Date(nowMs).toISOString()} ${text.replace(/\s+/g, ' ').slice(0, scriptLimits.noteCharactersMax)}\n`;
  const found = await stat(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  });
  if (found === undefined) await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  else if (found.size > scriptLimits.userLogBytesMax) await rename(path, `${path}.0`);
  await appendFile(path, line, { mode: 0o600 });
}
