/** Limits of mail that waits or leaves: queue, other hosts, the maildrop, fetching. */
import { KiB, MiB } from './units.ts';

/** The queue. */
export const queueLimits = {
  /** Entries that one `list` answers. */
  listMax: 1000,
  /** Entries that one transaction of the database changes at a time, after a crash or a set clock. */
  batchEntries: 1000,
  /** Done ids are remembered this long: longer than any journal waits for its replay. */
  rememberDoneMs: 7 * 24 * 3_600_000,
  /** The longest sleep, so that a clock that was set is noticed. */
  sleepMsMax: 30_000,
  /** What a step of priority is worth: mail of priority 9 overtakes what came within the nine minutes before it. */
  priorityHeadStartMs: 60_000,
  /** A clock that is this much behind was set back. */
  clockBackMs: 10_000,
  /** After the database refused a write, nothing new is taken up for this long. */
  troubleMs: 5000,
  /** Attempts at once of our own work: deliveries again, bounces, new mail. */
  ownAtOnce: 10,
  /** Attempts at once that a destination begins with. Postfix begins with 5 as well. */
  destinationWindowFirst: 5,
  /** Failures in a row after which a destination rests. */
  destinationFailuresMax: 3,
  /** How long it rests first, and at most: a host that is back is noticed within a quarter of an hour. */
  destinationRestMs: 30_000,
  destinationRestMsMax: 15 * 60_000,
  /** A recipient that fails waits this long for others of the same message, so that one report tells of all. */
  gatherFailuresMs: 3000,
  /** A message up to this size is kept in memory after it was written, since most are sent at once; and all of them. */
  recentMessageBytesMax: 256 * KiB,
  recentBytesMax: 16 * MiB,
  /** Messages without a file, which the journal keeps for the queue: half of those that may be unsettled at once. */
  unwrittenMessagesMax: 500,
  /** A message that is still there after this gets its file; and how often this is looked at. */
  unwrittenMs: 1000,
  unwrittenLookMs: 250,
  /** After a file could not be written the others wait as well: the disk is full for all of them. */
  unwrittenTroubleMs: 5000,
  /** A message that the journal brings back is looked for again after this. */
  awaitJournalMs: 1000,
  /** Files of mail that is gone are removed after this, many after one sync of the database. */
  removeAfterMs: 200,
  /** Envelopes that are kept in memory once read or written, and up to which number of recipients. */
  contextsKept: 256,
  contextRecipientsMax: 100,
  /** Entries of a destination at rest that are put off in one turn of the event loop. */
  deferAtOnce: 200,
  /** Entries of one message in one attempt, or one report: what a hook and a DSN can hold. */
  groupEntriesMax: 1000,
} as const;

/** What the recipients of one transaction may become by lists: every hook is given all of them. */
export const expandedRecipientsMax = 10_000;
/** Mail to other hosts. */
export const outboundLimits = {
  /** MX hosts of a domain that are looked at; real ones have five. */
  hostsMax: 20,
  /** Addresses tried in one attempt; RFC 5321 section 5.1 asks for at least two. */
  addressesMax: 6,
  /** Connections that stand idle for the next message: how long, and how many in all. */
  idleMs: 5000,
  idleConnectionsMax: 200,
  /** A program that gets mail may take this long, and say this much of why it failed. */
  pipeMs: 10 * 60_000,
  pipeOutputBytesMax: 4096,
  /** An MTA-STS policy: RFC 8461 section 3.3 suggests a minute and 64 KiB. */
  stsFetchMs: 30_000,
  stsBytesMax: 64 * 1024,
  /** RFC 8461 section 3.2: a year. */
  stsAgeSecondsMax: 31_557_600,
  /** A domain whose policy could not be fetched is asked again after this long. RFC 8461 section 3.3 suggests five minutes. */
  stsRetryMs: 5 * 60_000,
  stsPoliciesMax: 10_000,
  /** A policy that is in use is fetched again after a day, as RFC 8461 section 10.2 suggests. */
  stsRefreshMs: 24 * 3_600_000,
  /** What was found of a domain's policy holds this long without another look; its TXT record is seldom kept shorter. */
  stsFreshMs: 60_000,
  /** Failures that one TLS report tells apart for one domain. */
  tlsReportFailuresMax: 100,
  /** Domains with counters of one day. */
  tlsReportDomainsMax: 100_000,
  /** Reports on failed mail to one sender within an hour; the next ones wait. */
  bounces: { perHour: 100, namesMax: 10_000 },
  /** Mail that one user's rules send for what is done by IMAP: a client that flags a whole folder must not flood others. */
  eventSends: { perHour: 200, namesMax: 10_000 },
} as const;

/** Mail that programs of this machine leave for the server. */
export const maildropLimits = {
  /** The envelope, which is read before the message. */
  envelopeBytesMax: 1 * MiB,
  recipientsMax: 10_000,
  /** Messages taken up at the same time. */
  atOnce: 4,
  /** How often the folder is looked at although nothing was heard of it. */
  scanMs: 30_000,
  /** A message that could not be taken is tried again after at most this. */
  retryMsMax: 60_000,
  /** A file that was never completed is removed after this. */
  staleMs: 24 * 3_600_000,
} as const;

/** Fetching mail from other servers. */
export const fetchLimits = {
  /** For each answer of a server; RFC 1939 section 3 lets it end an idle session after ten minutes. */
  answerMs: 5 * 60_000,
  /** How often what was fetched is noted: so much comes again after a crash. */
  seenWriteMs: 1000,
  /** For the message under way when it is told to stop: a service manager kills after 90 seconds (systemd) at most. */
  stopMs: 30_000,
  /** Messages that one command deletes: RFC 7162 section 4 lets a line have 8192 octets. */
  deleteAtOnce: 500,
} as const;

/** How often quarantined mail is looked at for what is past its time. */
export const quarantineLookMs = 10 * 60_000;
