/** Limits of the way of a message from its door to the disk: spool, journal, delivery, traces. */
import { KiB, MiB } from './units.ts';

/** Records waiting for the journal's next sync; past it mail is answered 452 rather than held in memory. */
export const journalBacklogRecordsMax = 4096;
/** Octets waiting for the journal's next sync, messages included. */
export const journalBacklogBytesMax = 64 * MiB;
/** Records in one group: one writev takes at most 1024 buffers (IOV_MAX), two for each record. */
export const journalGroupRecordsMax = 256;
/** A message or plan up to this size lies in the journal record itself, a larger one in a file beside it. */
export const journalInlineBytesMax = 1 * MiB;
/** Segments on disk; past it the journal counts as full and mail is answered 452. */
export const journalSegmentsMax = 32;
/** An SQLite file up to this size is checked page by page at start; about a second. */
export const databaseCheckBytesMax = 256 * MiB;
/** Octets of large messages between two collections of their buffers; each takes about half a millisecond. */
export const collectEveryBytes = 8 * MiB;
/** Octets of a message that may wait for the spool file's write before its sender has to. */
export const spoolWriteBytesMax = 256 * KiB;
/** File names and ids remembered while recovery looks for copies that are there already: some tens of MiB. */
export const foundNamesMax = 200_000;
/** The trace store. */
export const traceLimits = {
  /** Records that wait for one write, and how long they wait. 100 take about 2 ms of the main thread. */
  batchRecords: 100,
  batchMs: 200,
  /** JSON of one record; past it, fields above `fieldCharactersMax` are left out. */
  recordCharactersMax: 256 * KiB,
  fieldCharactersMax: 16 * KiB,
  partCharactersMax: 16 * KiB,
  /** Parts shown with one record: years of retries. */
  partsMax: 1000,
  /** Records that one question answers. */
  foundMax: 1000,
  /** Removed at a time, and how often: three times what a full batch adds. */
  pruneRows: 300,
  pruneStepRows: 50,
  pruneMs: 10_000,
} as const;

/** Octets of one group: what one sync writes, and so how long those behind it wait. */
export const journalGroupBytesMax = 8 * MiB;
/** Groups up to this size are written by the main thread itself: some fifty microseconds for a disk's cache. */
export const journalBlockingWriteBytesMax = 256 * KiB;
/** Accepted messages whose delivery waits (locked mboxes, a queue that cannot be written): past it mail is answered 452. */
export const unsettledMessagesMax = 1000;
/** Copies stored, blocking, in one turn of the event loop: a full group of the journal for one mailbox each. */
export const turnCopiesMax = 256;
/** Their octets: some ten milliseconds for a slow disk's cache. */
export const turnOctetsMax = 8 * MiB;
/** Copies from files, or that are looked for first, under way at a time: each holds two or three descriptors. */
export const storingCopiesMax = 32;
/** Mailboxes whose usage is remembered; past it those that hold no reservation are counted anew. */
export const quotaUsersMax = 10_000;
/** Without a successful retry a mailbox that could take no copy is tried again by new mail after this long. */
export const troubledForgetMs = 5 * 60_000;
/** Such mailboxes remembered at most; with more than that in trouble the disk itself is full, and the journal says so. */
export const troubledUsersMax = 10_000;
