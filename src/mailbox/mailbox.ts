/**
 * What IMAP and POP3 know of mailboxes: a user's account, its folders, and one open folder. The work is done in other
 * threads: what returns a promise crosses to them and back, everything else answers at once from this thread's memory.
 *
 * Folder names are UTF-8, levels parted by `/`, INBOX in any case. Numbers of messages belong to a `FolderView`, which
 * each session has of its own; here messages are named by UID. UIDs that are not there are passed over in silence,
 * unless it says otherwise.
 *
 * Every promise may reject with a MailboxError, whose `responseCode` is the IMAP one; `UNAVAILABLE` everywhere, the
 * others where they are named. Anything else is a bug.
 */

import type { SearchQuery, SortCriterion, ThreadAlgorithm, ThreadNode } from './search-query.ts';
import type { Snapshot } from './snapshot.ts';
import type { FolderView } from './view.ts';

export interface AccountOptions {
  /** Canonical address. */
  readonly user: string;
  readonly format: 'maildir' | 'mbox';
  /** Absolute: the Maildir's root, or the INBOX mbox file. Made when missing. */
  readonly path: string;
  /** 0 is no limit. */
  readonly quotaBytes: number;
}

/** All accounts of this process. */
export interface Mailboxes {
  /** Accounts are shared: the one of that user where it is open already. To be closed as often as opened. */
  openAccount(options: AccountOptions): Promise<Account>;
  /** Waits for what is being done, then ends the threads. */
  close(): Promise<void>;
}

/** RFC 6154 section 2; RFC 8457 for `\Important`. */
export const specialUses = [
  '\\All',
  '\\Archive',
  '\\Drafts',
  '\\Flagged',
  '\\Important',
  '\\Junk',
  '\\Sent',
  '\\Trash',
] as const;
export type SpecialUse = (typeof specialUses)[number];

export interface FolderInfo {
  readonly name: string;
  /** False for a level that has only children, and for a subscribed name without a folder. */
  readonly exists: boolean;
  readonly hasChildren: boolean;
  readonly subscribed: boolean;
  readonly specialUse: readonly SpecialUse[];
}

export interface FolderStatus {
  readonly messages: number;
  readonly recent: number;
  readonly unseen: number;
  readonly deleted: number;
  readonly uidNext: number;
  readonly uidValidity: number;
  readonly highestModseq: number;
  /** RFC 8474: kept over renames. */
  readonly mailboxId: string;
  /** Octets with CRLF line ends, all messages; only where it was asked for. RFC 8438. */
  readonly size?: number;
  /** Octets of the messages with `\Deleted`; with `size`. RFC 9208. */
  readonly deletedStorage?: number;
}

/** RFC 9208 counts storage in units of 1024 octets; here both are octets. */
export interface QuotaUsage {
  readonly usedBytes: number;
  /** 0 is no limit. */
  readonly limitBytes: number;
}

export interface Account {
  readonly user: string;
  readonly format: 'maildir' | 'mbox';

  /** Every folder, every level above one, every subscribed name; INBOX first, the others sorted. */
  list(): Promise<FolderInfo[]>;
  /** Makes the folder and what is missing above it. ALREADYEXISTS, CANNOT. */
  create(folder: string, specialUse?: readonly SpecialUse[]): Promise<{ mailboxId: string }>;
  /** With all its messages, metadata and rights; the children stay, and so does the subscription. NONEXISTENT, CANNOT (INBOX). */
  delete(folder: string): Promise<void>;
  /** With its children. INBOX: its messages move to the new folder, INBOX and its children stay. NONEXISTENT, ALREADYEXISTS, CANNOT. */
  rename(from: string, to: string): Promise<void>;
  /** A folder need not exist. CANNOT. */
  subscribe(folder: string): Promise<void>;
  unsubscribe(folder: string): Promise<void>;
  /** NONEXISTENT. */
  setSpecialUse(folder: string, uses: readonly SpecialUse[]): Promise<void>;
  /** NONEXISTENT. */
  status(folder: string, wanted?: { readonly size?: boolean }): Promise<FolderStatus>;

  /** One folder, for one session: to be closed by it. NONEXISTENT. */
  openFolder(folder: string, options: { readonly readOnly: boolean }): Promise<Folder>;

  /** Begins to take in a message for `append`; octets go to disk as they come. */
  upload(): Promise<Upload>;
  /** All of them or none. NONEXISTENT (TRYCREATE), OVERQUOTA, LIMIT (keywords). On disk when it resolves. */
  append(folder: string, messages: readonly AppendMessage[]): Promise<Appended>;

  quota(): Promise<QuotaUsage>;

  /** RFC 5464. @param folder '' for the server's own. NONEXISTENT. Entry names in lower case, such as `/private/comment`. */
  metadata(folder: string): Promise<ReadonlyMap<string, string>>;
  /** Undefined removes. NONEXISTENT, LIMIT. */
  setMetadata(folder: string, entries: ReadonlyMap<string, string | undefined>): Promise<void>;

  /** RFC 4314: identifier to rights; the owner's are not in it. NONEXISTENT. */
  acl(folder: string): Promise<ReadonlyMap<string, string>>;
  /** Undefined removes. NONEXISTENT, LIMIT. */
  setAcl(folder: string, identifier: string, rights: string | undefined): Promise<void>;

  /** Told, from when it resolves, of what this or another program changes, within milliseconds where the system can tell; for NOTIFY and LIST. */
  watch(listener: (change: AccountChange) => void, scope: WatchScope): Promise<() => void>;

  /** POP3 alone, RFC 1939 section 4: undefined while another POP3 session has the INBOX. */
  lockForPop3(): Promise<(() => void) | undefined>;

  close(): void;
}

/** Which folders' messages are watched; the list of folders always is. */
export type WatchScope = 'none' | 'inbox' | 'all' | ReadonlySet<string>;

export type AccountChange =
  /** A folder was made, removed or renamed, or a subscription or special use changed: `list` anew. */
  | { readonly kind: 'folders' }
  /** Messages or flags of that folder changed. */
  | { readonly kind: 'messages'; readonly folder: string }
  | { readonly kind: 'metadata'; readonly folder: string };

/** A message on its way in, on disk but not in a folder. */
export interface Upload {
  /** Octets written so far, as they came. */
  readonly octets: number;
  /** Resolves when more may come. CRLF becomes LF, everything else stays. */
  write(chunk: Uint8Array): Promise<void>;
  /** What was written, LF line ends, when no more will be: for messages that are put together from several. */
  read(): AsyncIterable<Uint8Array>;
  /** Takes it back; also after a failed append. Nothing when it was appended. */
  discard(): Promise<void>;
}

export interface AppendMessage {
  readonly upload: Upload;
  /** System flags and keywords; `\Recent` is passed over. */
  readonly flags: readonly string[];
  /** Epoch milliseconds; now when absent. */
  readonly internalDate?: number;
}

export interface Appended {
  readonly uidValidity: number;
  /** One for each message, in order. */
  readonly uids: readonly number[];
}

export interface Copied {
  /** Of the target. */
  readonly uidValidity: number;
  /** UIDs that were there, ascending, and the new ones beside them. */
  readonly from: readonly number[];
  readonly to: readonly number[];
}

export type FlagChange =
  | { readonly how: 'add' | 'remove'; readonly flags: readonly string[] }
  | { readonly how: 'replace'; readonly flags: readonly string[] };

export interface Stored {
  /** UIDs left alone, for their modseq is above `unchangedSince`. RFC 7162 section 3.1.3. */
  readonly modified: readonly number[];
  /** UIDs whose flags are as asked for now, changed or not. */
  readonly done: readonly number[];
  /** Holds the change; also the folder's `snapshot` from now on. */
  readonly snapshot: Snapshot;
}

/** One folder as one session has it open. Memory is shared with the other sessions of this process. */
export interface Folder {
  readonly name: string;
  readonly readOnly: boolean;
  readonly mailboxId: string;
  /** What this thread knows by now. Grows newer with every change that is heard of, by whomever. */
  readonly snapshot: Snapshot;
  /** Keywords that may still be added: `\*` of PERMANENTFLAGS. */
  readonly acceptsKeywords: boolean;

  /** Looks at the folder on disk and resolves with what is there now. */
  refresh(): Promise<Snapshot>;
  /** Called after `snapshot` has changed. @returns a function that ends it */
  onChange(listener: () => void): () => void;
  /** True once the folder is deleted, or its UIDVALIDITY has changed: the session cannot go on with it. */
  readonly isGone: boolean;

  /**
   * UIDs from the first on, up to the snapshot's UIDNEXT, are `\Recent` for the session that asks first; an empty range
   * has `first` = `end`. A read-only folder claims nothing: it sees what nobody has claimed.
   */
  claimRecent(): { readonly first: number; readonly end: number };

  /** Fills in these columns for these messages. @returns the snapshot that has them, also the folder's from now on */
  ensure(uids: ArrayLike<number>, columns: readonly FilledColumn[]): Promise<Snapshot>;
  /** In ascending order of UID, read ahead in batches; what is gone is left out. Only the texts asked for are not ''. */
  facts(uids: ArrayLike<number>, fields: readonly FactField[]): AsyncIterable<MessageFacts>;
  /** Whole messages, in ascending order of UID, read ahead in batches; what is gone is left out. CRLF line ends. */
  messages(uids: ArrayLike<number>, part: 'all' | 'header'): AsyncIterable<MessageOctets>;

  /** LIMIT (no room for keywords: nothing was changed). Undurable like all flags in a Maildir; seen by all at once. */
  store(
    uids: ArrayLike<number>,
    change: FlagChange,
    options?: { readonly unchangedSince?: number },
  ): Promise<Stored>;
  /** Those of the messages that have `\Deleted`; all of the folder without `uids`. @returns what went, ascending */
  expunge(uids?: ArrayLike<number>): Promise<readonly number[]>;
  /** Removes whatever the flags: POP3 and REPLACE. */
  remove(uids: ArrayLike<number>): Promise<readonly number[]>;
  /** All or none of those that are there. NONEXISTENT (TRYCREATE), OVERQUOTA, LIMIT. On disk when it resolves. */
  copy(uids: ArrayLike<number>, target: string): Promise<Copied>;
  /** One after the other, each in one of both folders at any moment. NONEXISTENT (TRYCREATE), LIMIT. */
  move(uids: ArrayLike<number>, target: string): Promise<Copied>;

  /** UIDs expunged after that modseq, ascending; perhaps more that are not there, where it is not remembered. RFC 7162 section 3.2.5. */
  vanishedSince(modseq: number, knownUids?: ArrayLike<number>): Promise<Uint32Array>;

  /** UIDs of the view's messages that match, ascending. */
  search(view: FolderView, query: SearchQuery): Promise<Uint32Array>;
  /** The same, in the order asked for. */
  sort(view: FolderView, query: SearchQuery, criteria: readonly SortCriterion[]): Promise<Uint32Array>;
  thread(view: FolderView, query: SearchQuery, algorithm: ThreadAlgorithm): Promise<ThreadNode[]>;

  /** POP3's unique ids as Dovecot gives them, `%08Xu%08Xv` unless its list of UIDs says otherwise; one for each UID. */
  pop3Uidls(uids: ArrayLike<number>): Promise<readonly string[]>;

  close(): void;
}

export type FilledColumn = 'size' | 'internalDate' | 'saveDate';

export type FactField = Exclude<keyof MessageFacts, 'uid'>;

/** What is worked out once and kept. Texts are octets as `latin1` strings, ready to be sent. */
export interface MessageFacts {
  readonly uid: number;
  /** RFC 9051 section 7.5.2, the parenthesised ENVELOPE. */
  readonly envelope: string;
  /** The parenthesised BODY, without extension data. */
  readonly body: string;
  /** The parenthesised BODYSTRUCTURE. */
  readonly bodyStructure: string;
  /** RFC 8970: at most 200 characters of text, decoded. */
  readonly preview: string;
  /** RFC 8474: the same for the same octets, in whatever folder. */
  readonly emailId: string;
  /** RFC 8474: the same for a message and its answers. */
  readonly threadId: string;
}

export interface MessageOctets {
  readonly uid: number;
  /** CRLF line ends; belongs to the caller. */
  readonly octets: Uint8Array;
}
