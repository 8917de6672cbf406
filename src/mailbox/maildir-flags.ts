/** IMAP flags in Maildir file names: letters of the system flags, and `a` to `z` for keywords as dovecot-keywords lists them. */
import { closeSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../core/base/errors.ts';
import { keywordsMax } from '../../core/base/limits/mailbox.ts';
import { isKeyword } from './flags.ts';

/** https://cr.yp.to/proto/maildir.html; `\Recent` is not stored. */
const letters: Readonly<Record<string, string>> = {
  '\\draft': 'D',
  '\\flagged': 'F',
  '\\answered': 'R',
  '\\seen': 'S',
  '\\deleted': 'T',
};

/** Dovecot holds the lock for milliseconds; it takes one of this age for left behind as well. */
const keywordsLockStaleMs = 2 * 60_000;

/**
 * The letters for a file name, in ASCII order as the format asks. Keywords new to the folder are given a letter.
 * @param directory absolute path of the folder
 * @returns keywords without a letter as `dropped`: all 26 are taken, or another program holds the list's lock
 */
export function flagLetters(
  directory: string,
  flags: readonly string[],
): { letters: string; dropped: string[] } {
  const found = new Set<string>();
  const keywords: string[] = [];
  for (const flag of flags) {
    const letter = letters[flag.toLowerCase()];
    if (letter) found.add(letter);
    else if (isKeyword(flag)) keywords.push(flag);
  }
  const dropped: string[] = [];
  if (keywords.length > 0) {
    const known = keywordLetters(directory, keywords);
    for (const keyword of keywords) {
      const letter = known.get(keyword.toLowerCase());
      if (letter) found.add(letter);
      else dropped.push(keyword);
    }
  }
  return { letters: [...found].sort().join(''), dropped };
}

/** Keywords in lower case to letters. */
function keywordLetters(directory: string, wanted: readonly string[]): Map<string, string> {
  const list = readKeywords(directory);
  const missing = wanted.filter((keyword) => !hasKeyword(list, keyword));
  const names = missing.length === 0 ? list : (addKeywords(directory, missing) ?? list);
  return new Map([...names].map(([index, name]) => [name.toLowerCase(), String.fromCharCode(97 + index)]));
}

function hasKeyword(list: ReadonlyMap<number, string>, keyword: string): boolean {
  return [...list.values()].some((name) => name.toLowerCase() === keyword.toLowerCase());
}

/** Keywords by their index, from lines of `<index> <keyword>`. */
export function readKeywords(directory: string): Map<number, string> {
  let text = '';
  try {
    text = readFileSync(join(directory, 'dovecot-keywords'), 'utf8');
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  const list = new Map<number, string>();
  for (const line of text.split('\n')) {
    const match = /^(\d{1,2}) (\S+)$/.exec(line);
    if (match && Number(match[1]) < keywordsMax) list.set(Number(match[1]), match[2]!);
  }
  return list;
}

/**
 * Gives letters to keywords that have none, as far as there are any. As Dovecot: the lock file becomes the new list.
 * Undefined when somebody else is at it.
 */
export function addKeywords(directory: string, missing: readonly string[]): Map<number, string> | undefined {
  const path = join(directory, 'dovecot-keywords');
  const lock = `${path}.lock`;
  const fd = openLock(lock);
  if (fd === undefined) return undefined;
  try {
    // Read again: it may have grown before the lock was ours.
    const list = readKeywords(directory);
    for (const keyword of missing) {
      if (!hasKeyword(list, keyword) && list.size < keywordsMax) list.set(freeIndex(list), keyword);
    }
    const lines = [...list].sort(([a], [b]) => a - b).map(([index, name]) => `${index} ${name}\n`);
    writeSync(fd, lines.join(''));
    renameSync(lock, path);
    return list;
  } catch (error) {
    rmSync(lock, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

function openLock(lock: string): number | undefined {
  const stat = statSync(lock, { throwIfNoEntry: false });
  if (stat && Date.now() - stat.mtimeMs > keywordsLockStaleMs) rmSync(lock, { force: true });
  try {
    return openSync(lock, 'wx', 0o600);
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return undefined;
    throw error;
  }
}

function freeIndex(list: ReadonlyMap<number, string>): number {
  let index = 0;
  while (list.has(index)) index += 1;
  return index;
}
