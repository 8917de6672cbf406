/**
 * Which copies our own servers removed or moved away lately, so that a replay does not bring them back.
 *
 * Written by whoever expunges, before it does: append to `journal/tombstones/<epoch minute>-<pid>` the line
 * `1 <name>\n`, where name is the base of the Maildir file name or the value of the mbox field, and sync it. A file is
 * written to for one minute at most, and removed by the replaying side when it is an hour old.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../core/base/errors.ts';

const keptMinutes = 60;

/** Names in all files; lines of another version are passed over. @throws system errors */
export function readTombstones(directory: string): Set<string> {
  const names = new Set<string>();
  for (const file of listFiles(directory)) {
    for (const line of readFileSync(join(directory, file), 'utf8').split('\n').slice(0, -1)) {
      if (line.startsWith('1 ')) names.add(line.slice(2));
    }
  }
  return names;
}

/** Removes files whose minute is long past. @param now epoch milliseconds */
export function pruneTombstones(directory: string, now: number): void {
  for (const file of listFiles(directory)) {
    if (now / 60_000 - Number.parseInt(file, 10) > keptMinutes)
      rmSync(join(directory, file), { force: true });
  }
}

function listFiles(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => /^\d+-\d+$/.test(name));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
