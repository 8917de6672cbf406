/**
 * Which UID each file of a folder has: Dovecot's list, read and written under its lock, so that either server gives a
 * message its UID once and both know it.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Clock } from '../../../core/base/clock.ts';
import { uidListRewriteMs, uidsReservedAtOnce } from '../../../core/base/limits/mailbox.ts';
import { withDotLock } from '../dot-lock.ts';
import { nextUidValidity } from '../uid-validity.ts';
import { byArrival } from './file-name.ts';
import { readReservedUids, reserveUids } from './reserved-uids.ts';
import {
  appendUidRecords,
  readUidList,
  type UidList,
  type UidRecord,
  uidListName,
  uidListStamp,
  writeUidList,
} from './uid-list.ts';

export interface Given {
  readonly uid: number;
  readonly base: string;
}

export class UidBook {
  readonly uidValidity: number;
  readonly mailboxId: string;
  uidNext: number;
  readonly #directory: string;
  readonly #headerFields: string;
  readonly #byBase = new Map<string, number>();
  /** Ascending by UID, as a Map keeps the order in which it was filled. */
  readonly #byUid = new Map<number, string>();
  readonly #fields = new Map<number, string>();
  /** No UID from here on may be given before more are set aside. */
  #reservedEnd: number;
  /** Of the file as we last read or wrote it. */
  #stamp: string;
  /** The file names messages that are gone. */
  #stale = false;
  #timer: NodeJS.Timeout | undefined;

  /** @param bases of all files. @throws MailboxError INUSE; system errors */
  static async open(directory: string, bases: readonly string[], clock: Clock): Promise<UidBook> {
    const list = readUidList(directory);
    const reserved = readReservedUids(directory);
    const doubtful = reserved?.doubtful && reserved.uidValidity === list?.uidValidity;
    if (list && list.mailboxId !== '' && !doubtful) {
      const known = new Set(list.records.map(({ base }) => base));
      if (bases.every((base) => known.has(base))) return new UidBook(directory, list, new Set(bases), 0);
    }
    return withDotLock(join(directory, uidListName), () => {
      const mended = mendList(directory, clock, readUidList(directory));
      const book = new UidBook(directory, mended.list, new Set(bases), mended.reservedEnd);
      const fresh = book.#giveNew(bases.filter((base) => !book.#byBase.has(base)).sort(byArrival));
      if (mended.changed || fresh.length > 0) book.#writeAll();
      return book;
    });
  }

  private constructor(directory: string, list: UidList, there: ReadonlySet<string>, reservedEnd: number) {
    this.#directory = directory;
    this.uidValidity = list.uidValidity;
    this.mailboxId = list.mailboxId;
    this.uidNext = list.uidNext;
    this.#headerFields = list.headerFields;
    this.#reservedEnd = reservedEnd;
    this.#stamp = uidListStamp(directory);
    for (const record of list.records) {
      if (there.has(record.base) && !this.#byBase.has(record.base)) this.#add(record);
      else this.#stale = true;
    }
  }

  entries(): Iterable<[uid: number, base: string]> {
    return this.#byUid;
  }

  uidOf(base: string): number | undefined {
    return this.#byBase.get(base);
  }

  fieldOf(uid: number, field: string): string | undefined {
    const fields = this.#fields.get(uid)?.split(' ');
    return fields?.find((each) => each.startsWith(field))?.slice(field.length);
  }

  /**
   * UIDs for files that have none here: those that another program gave meanwhile, and new ones, ascending.
   * @param order new ones in the order in which the messages came, or as listed
   * @param listing `old` when the files were listed before the lock was ours: then `look again` is the answer where
   *   another program gave UIDs to files that are not among these
   * @throws MailboxError INUSE; system errors
   */
  give(
    bases: readonly string[],
    order: 'by arrival' | 'as listed',
    listing: 'old' | 'last',
  ): Promise<Given[] | 'begun anew' | 'look again'> {
    return withDotLock(join(this.#directory, uidListName), () => {
      const stamp = uidListStamp(this.#directory);
      const adopted = stamp === this.#stamp ? [] : this.#readAgain(new Set(bases), listing);
      if (!Array.isArray(adopted)) return adopted;
      const left = bases.filter((base) => !this.#byBase.has(base));
      const fresh = this.#giveNew(order === 'as listed' ? left : left.sort(byArrival));
      if (this.#stale || stamp === '') this.#writeAll();
      else if (fresh.length > 0) {
        appendUidRecords(this.#directory, fresh.map(recordOf));
        this.#stamp = uidListStamp(this.#directory);
      }
      return [...adopted, ...fresh];
    });
  }

  /** What another program wrote: UIDs it gave to files that we saw just now. */
  #readAgain(wanted: ReadonlySet<string>, listing: 'old' | 'last'): Given[] | 'begun anew' | 'look again' {
    const stamp = uidListStamp(this.#directory);
    const list = readUidList(this.#directory);
    if (list && list.uidValidity !== this.uidValidity) return 'begun anew';
    const unknown = (list?.records ?? []).filter(({ base }) => !this.#byBase.has(base));
    const adopted = unknown.filter(({ uid, base }) => uid >= this.uidNext && wanted.has(base));
    const unseen = unknown.some(({ uid, base }) => uid >= this.uidNext && !wanted.has(base));
    if (unseen && listing === 'old') return 'look again';
    this.#stamp = stamp;
    // A UID below ours was expunged: a file that comes back gets a new one. A list that is gone is written again.
    if (!list || unknown.length > adopted.length) this.#stale = true;
    for (const record of adopted) this.#add(record);
    this.uidNext = Math.max(this.uidNext, list?.uidNext ?? 0);
    return adopted;
  }

  /** The caller holds the lock and writes them. */
  #giveNew(bases: readonly string[]): Given[] {
    if (bases.length === 0) return [];
    if (this.uidNext + bases.length > this.#reservedEnd) {
      this.#reservedEnd = this.uidNext + bases.length + uidsReservedAtOnce;
      reserveUids(this.#directory, this.uidValidity, this.#reservedEnd);
    }
    return bases.map((base) => {
      const given = { uid: this.uidNext, base };
      this.uidNext += 1;
      this.#add({ ...given, fields: '' });
      return given;
    });
  }

  #add({ uid, base, fields }: UidRecord): void {
    this.#byBase.set(base, uid);
    this.#byUid.set(uid, base);
    if (fields !== '') this.#fields.set(uid, fields);
  }

  /** Their files are gone; the list follows a little later. */
  remove(uids: readonly number[]): void {
    for (const uid of uids) {
      const base = this.#byUid.get(uid);
      if (base !== undefined) this.#byBase.delete(base);
      this.#byUid.delete(uid);
      this.#fields.delete(uid);
    }
    this.#stale = true;
    this.#timer ??= setTimeout(() => this.#rewrite(), uidListRewriteMs).unref();
  }

  #rewrite(): void {
    this.#timer = undefined;
    // Where another program holds the lock, or the folder is gone, a later change writes it or nobody needs it.
    this.give([], 'as listed', 'old').catch(() => undefined);
  }

  #writeAll(): void {
    const records = [...this.#byUid].map(([uid, base]) => ({
      uid,
      base,
      fields: this.#fields.get(uid) ?? '',
    }));
    const { uidValidity, uidNext, mailboxId } = this;
    const list = { uidValidity, uidNext, mailboxId, headerFields: this.#headerFields, records };
    writeUidList(this.#directory, list, false);
    this.#stamp = uidListStamp(this.#directory);
    this.#stale = false;
  }

  close(): void {
    clearTimeout(this.#timer);
    if (this.#timer) this.#rewrite();
  }
}

function recordOf({ uid, base }: Given): UidRecord {
  return { uid, base, fields: '' };
}

interface Mended {
  readonly list: UidList;
  readonly reservedEnd: number;
  readonly changed: boolean;
}

/** The list as it can be worked with: a new one where there is none, UIDs that may have been given left out, an id. */
function mendList(directory: string, clock: Clock, found: UidList | undefined): Mended {
  const reserved = readReservedUids(directory);
  const list = found ?? {
    uidValidity: nextUidValidity(clock, reserved?.uidValidity),
    uidNext: 1,
    mailboxId: '',
    headerFields: '',
    records: [],
  };
  const ours = reserved?.uidValidity === list.uidValidity ? reserved : undefined;
  const uidNext = ours?.doubtful ? Math.max(list.uidNext, ours.end) : list.uidNext;
  const mailboxId = list.mailboxId === '' ? randomBytes(16).toString('hex') : list.mailboxId;
  const changed = !found || uidNext !== list.uidNext || mailboxId !== list.mailboxId;
  return {
    list: { ...list, uidNext, mailboxId },
    reservedEnd: ours?.doubtful ? 0 : (ours?.end ?? 0),
    changed,
  };
}
