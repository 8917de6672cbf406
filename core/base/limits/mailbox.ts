/** Limits of mailboxes: locks, folders, and the index. */
import { KiB, MiB } from './units.ts';

/** Levels of a folder name; Dovecot allows 16 as well. */
export const folderDepthMax = 16;
/** Keywords of one folder: a Maildir has the letters a to z for them. */
export const keywordsMax = 26;
/** Octets of a folder's name on disk: file systems allow 255, and lock files add to it. */
export const folderNameBytesMax = 200;
/** How long a delivery waits for the locks of an mbox before it counts as failed and is tried again later. */
export const mboxLockWaitMs = 30_000;
/** How long the system may take to tell a user's number: it blocks, and happens once for a mailbox of another user in a shared folder. */
export const userLookupMs = 2000;
/** Users whose numbers are remembered. */
export const usersFoundMax = 10_000;
/** A dot lock of this age was left by a program that died; the age procmail's lockfile and liblockfile assume. */
export const mboxDotLockStaleMs = 5 * 60_000;
/** How long a lock on a Maildir's list of UIDs is waited for: Dovecot holds it for milliseconds. */
export const dotLockWaitMs = 10_000;
/** Such a lock of this age was left by a program that died; Dovecot assumes the same of ours. */
export const dotLockStaleMs = 2 * 60_000;
/** A directory's time tells nothing of changes this shortly after it: file systems tick every 4 to 10 milliseconds. */
export const listingSettledMs = 25;
/** After changes of our own a Maildir is listed again to find those of others in the same instant, this much later ... */
export const listingVerifyMs = 1000;
/** ... or this many times as long as a listing takes, so that listing is at most a tenth of the time. */
export const listingVerifyFactor = 10;
/** How long Dovecot's list of UIDs may name messages that are gone: writing it anew takes 50 ms at 100,000. */
export const uidListRewriteMs = 3000;
/** Lines of an account's subscriptions. */
export const subscriptionsMax = 10_000;
/** Metadata and rights of one folder: all of an account's are read and written at once. */
export const annotationLimits = { entriesMax: 100, bytesMax: 64 * KiB, identifiersMax: 100 } as const;
/** Folders of one account kept in memory though no session has them open: STATUS of all comes again and again. */
export const openFoldersMax = 50;
/** How often an open folder is looked at where the system gives no watch, and whether a look of another kind is due. */
export const folderPollMs = 500;
/** After a look at a watched folder, rest this many times as long: looking is at most a quarter of a thread's time. */
export const watchRestFactor = 3;
/** What is kept of a message for searches and lists. */
export const indexLimits = {
  /** Characters of text that a search looks at: mail that people write, not the logs they attach. */
  textCharactersMax: 4 * MiB,
  referencesCharactersMax: 64 * KiB,
  /** By which subjects are sorted and threaded. */
  subjectCharactersMax: 1000,
  /** Of the first text part, for a preview of 200. */
  previewSource: { plainCharacters: 1000, htmlCharacters: 16 * KiB },
  /** Messages that are read and kept in one turn of the index thread. */
  messagesPerTurn: 50,
  /** Messages whose texts lie in one row, and octets past which no more are added to it. */
  messagesPerPack: 64,
  packBytes: 1 * MiB,
  /** Packs whose other values stay in memory: those of the messages that are read together. */
  packsKept: 8,
  /** Packs of an open account whose sort keys stay in memory: some 6 MB. */
  sortPacksKept: 200,
  /** So many messages without facts are read for all at once; fewer at once for who asks. */
  messagesAtOnceMax: 500,
  /** A folder that changes is read this much later: who asks for the new message reads it at once. */
  delayMs: 200,
  /** How long reading in advance steps aside for who waits. */
  yieldMs: 20,
  /** So long after the last of them. */
  urgentMs: 100,
  /** Octets in which the header of nearly every message ends. */
  headerBytes: 16 * KiB,
  /** And most messages; larger ones are read into memory of their own. */
  messageBytes: 256 * KiB,
} as const;

/** Messages on their way in that stay in memory until they are whole: most fit, and a flood of large ones does not. */
export const uploadLimits = { heldMax: 128 * KiB, heldByAllMax: 8 * MiB } as const;
/** Messages and octets that come from a mailbox thread at a time, read ahead while the ones before are sent. */
export const readBatchMessages = 256;
export const readBatchBytes = 1 * MiB;
/** Heap of a mailbox thread: folders of a million messages, and messages of 50 MB at their indexing. */
export const mailboxThreadsHeapMiB = 2048;
/** How long a client waits for the locks of an mbox before it hears that the folder is in use. */
export const mboxAccessLockWaitMs = 10_000;
/** How long an account stays open after its last session: some MB for each, spared for whoever comes again at once. */
export const accountLingerMs = 60_000;
/** Rows of the mailbox index that one turn writes: some milliseconds. */
export const indexRowsPerTurn = 5000;
/** How long the mailbox index may lag behind what was told; it is a cache. */
export const indexSaveDelayMs = 100;
/** Expunged UIDs of a folder that are remembered for QRESYNC; older ones are told as a complement. RFC 7162 section 5.2. */
export const expungedKeptMax = 50_000;
/** UIDs of a folder that are set aside on disk at a time, so that none is given twice after a power loss. */
export const uidsReservedAtOnce = 1000;
