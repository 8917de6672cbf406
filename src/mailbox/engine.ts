/** What a mailbox format does for the access protocols: the same of Maildir and mbox. Lives in a store thread; one caller at a time. */
import type { Clock } from '../../core/base/clock.ts';
import type { Log } from '../../core/base/log.ts';
import type { DirectorySync } from './directory-sync.ts';
import type { FolderBook } from './folder-book.ts';
import type { FolderIndex } from './index/folder-index.ts';
import type { FilledColumn } from './mailbox.ts';

export interface EngineContext {
  /** Absolute: the Maildir's root, or the INBOX mbox file. */
  readonly path: string;
  readonly index: FolderIndex;
  readonly clock: Clock;
  readonly log: Log;
  readonly directorySync: DirectorySync;
  /** Absolute; where what is removed is noted for the journal's replay. Absent where no journal delivers. */
  readonly tombstones?: string;
}

/** A message in a file of its own with LF line ends, synced, to be moved or copied into a folder. */
export interface ReceivedMessage {
  readonly path: string;
  readonly octets: number;
  readonly crlfOctets: number;
  readonly flags: readonly string[];
  readonly internalDate: number;
}

/** Where a message's octets are to be had: a file of its own, or in memory. */
export type MessagePlace = { readonly path: string } | { readonly octets: Uint8Array };

export interface Transferred {
  readonly from: readonly number[];
  readonly to: readonly number[];
  /** Octets as stored that the account holds now and did not before. */
  readonly addedOctets: number;
}

export interface FolderEngine {
  readonly book: FolderBook;
  /** Deleted, renamed, or its UIDs were begun anew: to be opened again under the name it has now. */
  isGone: boolean;
  /** Sessions that have it selected for writing. */
  writers: number;
  /** Absolute paths whose change is a change of the folder. */
  readonly watched: readonly string[];
  /** Epoch milliseconds at which to look though nothing was told; infinite for never. */
  readonly lookDueAt: number;

  /**
   * Takes in what others changed.
   * @param how `surely` also where a change of our own may hide theirs: when a message was not where it should be
   * @throws MailboxError INUSE; system errors
   */
  refresh(how?: 'surely'): Promise<void>;
  /**
   * Bits for flags; keywords are made unless `create` is false.
   * @throws MailboxError LIMIT, INUSE
   */
  bitsFor(flags: readonly string[], create: boolean): number;
  /** @returns UIDs that another program changed in the same instant: to be done again after `refresh` */
  setFlags(uids: readonly number[], change: (flags: number) => number): Promise<readonly number[]>;
  /** Removes them for good. @returns those that were there, and their octets as stored */
  remove(uids: readonly number[]): Promise<{ uids: readonly number[]; octets: number }>;
  /** All or none become messages. On disk after `sync`. @returns UIDs, ascending */
  receive(messages: readonly ReceivedMessage[]): Promise<readonly number[]>;
  /** From another folder of the same account and format. */
  transfer(source: FolderEngine, uids: readonly number[], how: 'copy' | 'move'): Promise<Transferred>;
  /** Octets as stored of these messages together. */
  octetsOf(uids: readonly number[]): number;
  /** Resolves when what was received is on disk. */
  sync(): Promise<void>;
  placeOf(uid: number): MessagePlace | undefined;
  /** Sizes and dates that are not known yet. */
  fill(uids: readonly number[], columns: readonly FilledColumn[]): void;
  uidlOf(uid: number): string;
  close(): void;
}

/** Folders of one account by name, UTF-8. */
export interface Layout {
  list(): Promise<string[]>;
  exists(folder: string): boolean;
  /** @throws MailboxError CANNOT */
  create(folder: string): Promise<void>;
  /** The folder alone, its children stay. */
  delete(folder: string): Promise<void>;
  /** The folder and its children, from names to names; nothing of it is open. */
  rename(pairs: readonly { from: string; to: string }[]): Promise<void>;
  open(folder: string): Promise<FolderEngine>;
  /** Absolute path of a new file for a message on its way in, on the folders' file system where that helps. */
  readonly uploads: string;
  /** Absolute paths of what the format does not hold. */
  readonly subscriptions: string;
  readonly annotations: string;
  /** Absolute paths whose change may be a change of the list of folders. */
  readonly watched: readonly string[];
  /** Whether a name in those directories may be a folder's. */
  isFolderName(name: string): boolean;
  /** Adds to the count of what the account holds, where it is kept. */
  count(octets: number, messages: number): void;
}
