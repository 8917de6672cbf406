/**
 * Dovecot's list of UIDs, `dovecot-uidlist` version 3: a header with UIDVALIDITY, next UID and the folder's id, then one
 * line for each message. Fields that are not ours are kept.
 * https://doc.dovecot.org/2.3/developer_manual/design/mailbox_formats/maildir/#imap-uid-mapping
 */
import {
  appendFileSync,
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../../core/base/errors.ts';
import { baseOf } from './file-name.ts';

export const uidListName = 'dovecot-uidlist';

export interface UidRecord {
  readonly uid: number;
  /** Base of the file name. */
  readonly base: string;
  /** Further fields, `P<pop3 uidl>` and the like, separated by spaces; mostly ''. */
  readonly fields: string;
}

export interface UidList {
  uidValidity: number;
  uidNext: number;
  /** 32 hexadecimal digits. */
  mailboxId: string;
  /** Further fields of the header. */
  headerFields: string;
  /** Ascending. */
  records: UidRecord[];
}

/** Undefined when there is none, or none that can be read: then a new one with a new UIDVALIDITY is due. */
export function readUidList(directory: string): UidList | undefined {
  try {
    return parseUidList(readFileSync(join(directory, uidListName), 'utf8'));
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return undefined;
  }
}

export function parseUidList(text: string): UidList | undefined {
  const lines = text.split('\n');
  // What follows the last line end was cut off by a crash.
  lines.pop();
  const header = parseHeader(lines[0] ?? '');
  if (!header) return undefined;
  const { version, ...list } = header;
  for (let index = 1; index < lines.length; index += 1) {
    const record = version === 1 ? parseOldRecord(lines[index]!) : parseRecord(lines[index]!);
    // UIDs ascend; what does not was damaged, and its message is given a new one.
    if (!record || record.uid <= (list.records.at(-1)?.uid ?? 0)) continue;
    list.records.push(record);
  }
  list.uidNext = Math.max(list.uidNext, (list.records.at(-1)?.uid ?? 0) + 1);
  return list;
}

/** The folder's id alone, without its messages; undefined where no list was written yet. */
export async function readMailboxId(folder: string): Promise<string | undefined> {
  try {
    const file = await open(join(folder, uidListName));
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(headerBytesMax), 0, headerBytesMax, 0);
      const [line = ''] = buffer.toString('latin1', 0, bytesRead).split('\n', 1);
      return parseHeader(line)?.mailboxId || undefined;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Three numbers and an id; what other programs add is short too. */
const headerBytesMax = 1024;

/** Version 3: `3 V<validity> N<next> G<id>`; version 1: `1 <validity> <next>`. */
function parseHeader(line: string): (UidList & { version: number }) | undefined {
  const old = /^1 (\d+) (\d+)$/.exec(line);
  if (old) return header(1, Number(old[1]), Number(old[2]), '', '');
  if (!line.startsWith('3 ')) return undefined;
  let [uidValidity, uidNext, mailboxId] = [0, 1, ''];
  const others: string[] = [];
  for (const field of line.slice(2).split(' ')) {
    if (/^V\d{1,10}$/.test(field)) uidValidity = Number(field.slice(1));
    else if (/^N\d{1,10}$/.test(field)) uidNext = Number(field.slice(1));
    else if (/^G[0-9a-f]{32}$/.test(field)) mailboxId = field.slice(1);
    else if (field !== '') others.push(field);
  }
  return header(3, uidValidity, uidNext, mailboxId, others.join(' '));
}

function header(version: number, uidValidity: number, uidNext: number, mailboxId: string, rest: string) {
  if (uidValidity === 0 || uidValidity > 0xffffffff) return undefined;
  return { version, uidValidity, uidNext, mailboxId, headerFields: rest, records: [] };
}

/** `<uid> [<fields>] :<file name>`. */
function parseRecord(line: string): UidRecord | undefined {
  const colon = line.indexOf(' :');
  if (colon < 0) return undefined;
  const space = line.indexOf(' ');
  const uid = Number(line.slice(0, space));
  const base = baseOf(line.slice(colon + 2));
  if (!isUid(uid) || base === '') return undefined;
  return { uid, base, fields: space < colon ? line.slice(space + 1, colon) : '' };
}

function parseOldRecord(line: string): UidRecord | undefined {
  const space = line.indexOf(' ');
  const uid = Number(line.slice(0, space));
  const base = baseOf(line.slice(space + 1));
  return space < 0 || !isUid(uid) || base === '' ? undefined : { uid, base, fields: '' };
}

function isUid(uid: number): boolean {
  return Number.isInteger(uid) && uid > 0 && uid < 0xffffffff;
}

/** Writes the list anew, by rename. The caller holds the lock. @param durable waits for the disk */
export function writeUidList(directory: string, list: UidList, durable: boolean): void {
  const path = join(directory, uidListName);
  const temporary = `${path}.tmp`;
  const { uidValidity, uidNext, mailboxId, headerFields, records } = list;
  const more = headerFields === '' ? '' : ` ${headerFields}`;
  const lines = [`3 V${uidValidity} N${uidNext} G${mailboxId}${more}\n`, ...records.map(recordLine)];
  const fd = openSync(temporary, 'w', 0o600);
  try {
    writeFileSync(fd, lines.join(''));
    if (durable) fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
}

/** Adds records at the end, whose UIDs are the highest. The caller holds the lock. */
export function appendUidRecords(directory: string, records: readonly UidRecord[]): void {
  appendFileSync(join(directory, uidListName), records.map(recordLine).join(''), { mode: 0o600 });
}

function recordLine({ uid, base, fields }: UidRecord): string {
  return fields === '' ? `${uid} :${base}\n` : `${uid} ${fields} :${base}\n`;
}

/** Another for every state of the file; '' when there is none. */
export function uidListStamp(directory: string): string {
  const stat = statSync(join(directory, uidListName), { throwIfNoEntry: false });
  return stat ? `${stat.ino} ${stat.size} ${stat.mtimeMs}` : '';
}
