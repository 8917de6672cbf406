/** Messages that lie in files: one in a file, an mbox (RFC 4155), a Maildir, or a folder with any of these. */
import { type Dirent, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { openedFileBytesMax } from '../../core/base/limits/message.ts';
import { contentOf } from '../mailbox/mbox/compose.ts';
import { parseMbox } from '../mailbox/mbox/parse.ts';
import { CommandError, exitCodes } from './exit-codes.ts';
import { isThere } from './needed-file.ts';

export interface FoundMessage {
  /** The file, and the number in it where it is an mbox. */
  readonly name: string;
  /** As stored: line ends of either kind. */
  readonly octets: Buffer;
}

/** Files below the paths, in the order of their names. @throws CommandError where a path is not there */
export function filesBelow(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    if (!isThere(path)) throw new CommandError(exitCodes.noInput, `there is no ${path}`);
    return statSync(path).isDirectory() ? filesIn(path) : [path];
  });
}

/** Of a Maildir what was delivered; hidden files and folders, which are a program's own, are left out. */
function filesIn(folder: string): string[] {
  const isMaildir = ['cur', 'new'].every((name) => existsSync(join(folder, name)));
  const entries = readdirSync(folder, { withFileTypes: true }).sort(byName);
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.name.startsWith('.')) return [];
    if (isMaildir && entry.name !== 'cur' && entry.name !== 'new') return [];
    if (entry.isDirectory()) return filesIn(path);
    return entry.isFile() ? [path] : [];
  });
}

function byName({ name: one }: Dirent, { name: other }: Dirent): number {
  return one < other ? -1 : 1;
}

/** @throws CommandError for a file that is too large to be opened whole */
export function messagesOf(file: string): FoundMessage[] {
  if (statSync(file).size > openedFileBytesMax) {
    throw new CommandError(
      exitCodes.dataError,
      `${file} has more than ${openedFileBytesMax} octets`,
      'Part the mbox into smaller ones.',
    );
  }
  return messagesIn(file, readFileSync(file));
}

/** @param name of the file that holds the text */
export function messagesIn(name: string, text: Buffer): FoundMessage[] {
  const { messages } = parseMbox(text);
  // Not an mbox, or one whose From_ line nobody can read: all of it is the message.
  if (messages.length === 0) return text.length === 0 ? [] : [{ name, octets: text }];
  return messages.map((message, index) => ({
    name: messages.length === 1 ? name : `${name}:${index + 1}`,
    octets: contentOf(text, message),
  }));
}
