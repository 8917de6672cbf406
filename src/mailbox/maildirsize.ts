/**
 * The maildirsize file: a quota in its first line, then one line of octets and messages for each change; their sum is
 * the usage. Maildir++, https://www.courier-mta.org/imap/README.maildirquota.html
 */
import { appendFileSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../core/base/errors.ts';

/** A file this large is written anew by whoever counts next, and is not added to here. */
const maildirSizeBytesMax = 5120;
/** A file of this age is not believed when it says that the mailbox is full. */
export const maildirSizeStaleMs = 15 * 60_000;

export interface MaildirSize {
  readonly octets: number;
  readonly messages: number;
  /** From the first line; 0 is none. */
  readonly quotaOctets: number;
  /** Epoch milliseconds of the last change. */
  readonly changedAt: number;
}

/**
 * Adds a line where the file is kept; where there is none, nobody counts this way. Never fails: the message lies in the
 * mailbox already, and whoever finds the sum wrong counts anew.
 */
export function noteMaildirSize(root: string, octets: number, messages: number): void {
  const path = join(root, 'maildirsize');
  if (!statSync(path, { throwIfNoEntry: false })) return;
  try {
    // One write of a short line: O_APPEND keeps lines of several writers whole.
    appendFileSync(path, `${octets} ${messages}\n`, { mode: 0o600 });
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
}

/**
 * Begins the file anew after a count: from now on whoever delivers, expunges or copies adds to it, in whatever process.
 * Never fails: without the file everybody counts for themselves.
 */
export function writeMaildirSize(root: string, quotaOctets: number, octets: number, messages: number): void {
  const path = join(root, 'maildirsize');
  const temporary = join(root, 'tmp', `maildirsize.${process.pid}`);
  try {
    writeFileSync(temporary, `${quotaOctets}S\n${octets} ${messages}\n`, { mode: 0o600 });
    renameSync(temporary, path);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
}

/** Another for every state of the file; '' when there is none. */
export function maildirSizeStamp(root: string): string {
  const stat = statSync(join(root, 'maildirsize'), { throwIfNoEntry: false });
  return stat ? `${stat.ino} ${stat.size} ${stat.mtimeMs}` : '';
}

/** Undefined when there is none, it has grown too large, or it is not of the format. */
export function readMaildirSize(root: string): MaildirSize | undefined {
  const path = join(root, 'maildirsize');
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat || stat.size >= maildirSizeBytesMax) return undefined;
  try {
    return parseMaildirSize(readFileSync(path, 'latin1'), stat.mtimeMs);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export function parseMaildirSize(text: string, changedAt: number): MaildirSize | undefined {
  const [first = '', ...lines] = text.split('\n');
  if (!/^(\d+[A-Z](,\d+[A-Z])*)?$/.test(first)) return undefined;
  let octets = 0;
  let messages = 0;
  for (const line of lines) {
    if (line.trim() === '') continue;
    const match = /^\s*(-?\d+)\s+(-?\d+)\s*$/.exec(line);
    if (!match) return undefined;
    octets += Number(match[1]);
    messages += Number(match[2]);
  }
  return { octets, messages, quotaOctets: Number(/(\d+)S/.exec(first)?.[1] ?? 0), changedAt };
}
