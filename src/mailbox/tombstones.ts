/**
 * Which copies our own servers removed or moved away lately, so that a replay of the journal does not bring them back.
 *
 * Written by whoever expunges, before it does: append to `journal/tombstones/<epoch minute>-<pid>` the line
 * `1 <name>\n`, where name is the base of the Maildir file name or the value of the mbox field, and sync it. A file is
 * written to for one minute at most, and removed when it is an hour old.
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../core/base/errors.ts';

const keptMinutes = 60;
/** A copy that came earlier than this is in no journal any more: a checkpoint takes seconds. */
export const tombstonesNeededMs = keptMinutes * 60_000;

/**
 * Notes names on disk before the files that bear them go; nothing for an empty list.
 * @param now epoch milliseconds
 * @throws system errors: then nothing may be removed
 */
export function writeTombstones(directory: string, names: readonly string[], now: number): void {
  if (names.length === 0) return;
  const minute = Math.floor(now / 60_000);
  const fresh = mkdirSync(directory, { recursive: true, mode: 0o700 }) !== undefined;
  const path = join(directory, `${minute}-${process.pid}`);
  const { fd, made } = openToAppend(path);
  try {
    writeSync(fd, names.map((name) => `1 ${name}\n`).join(''));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  if (!made && !fresh) return;
  syncDirectory(directory);
  pruneTombstones(directory, now);
}

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

function openToAppend(path: string): { fd: number; made: boolean } {
  try {
    return { fd: openSync(path, 'ax', 0o600), made: true };
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    return { fd: openSync(path, 'a', 0o600), made: false };
  }
}

function syncDirectory(directory: string): void {
  const fd = openSync(directory, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
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
