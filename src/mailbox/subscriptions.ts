/**
 * The file of subscribed folders as Dovecot keeps it. Version 2: `V\t2`, an empty line, then one folder a line with its
 * levels parted by tabs; version 1: the names alone, levels parted as the folders' own separator does.
 */
import { readFileSync } from 'node:fs';
import { errnoOf } from '../../core/base/errors.ts';
import { subscriptionsMax } from '../../core/base/limits/mailbox.ts';
import { isInbox } from './folders.ts';
import { MailboxError } from './mailbox-error.ts';
import { decodeModifiedUtf7, encodeModifiedUtf7 } from './modified-utf7.ts';
import { writeFileDurably } from './write-file-durably.ts';

const versionTwo = 'V\t2';

/** Names in UTF-8, levels parted by `/`. @param separator of a version 1 file */
export function readSubscriptions(path: string, separator: string): Set<string> {
  const lines = readLines(path);
  const isVersionTwo = lines[0] === versionTwo;
  const names = new Set<string>();
  for (const line of isVersionTwo ? lines.slice(1) : lines) {
    if (line === '') continue;
    const levels = line.split(isVersionTwo ? '\t' : separator);
    const name = levels.map((level) => decodeModifiedUtf7(level) ?? level).join('/');
    names.add(isInbox(name) ? 'INBOX' : name);
  }
  return names;
}

/** @throws MailboxError LIMIT; system errors */
export function changeSubscription(
  path: string,
  separator: string,
  folder: string,
  subscribed: boolean,
): void {
  const names = readSubscriptions(path, separator);
  if (names.has(folder) === subscribed) return;
  if (subscribed) names.add(folder);
  else names.delete(folder);
  if (names.size > subscriptionsMax) throw new MailboxError('LIMIT', 'too many subscriptions');
  const lines = [...names].map((name) =>
    name
      .split('/')
      .map((level) => encodeModifiedUtf7(level))
      .join('\t'),
  );
  writeFileDurably(path, `${[versionTwo, '', ...lines].join('\n')}\n`);
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
