/** Limits of clients that read mail and keep scripts: IMAP, POP3, ManageSieve. */
import { KiB, MiB } from './units.ts';

/** POP3. */
export const pop3Limits = {
  /** RFC 2449 section 4 has 255 octets for commands; SASL responses are longer, RFC 5034 section 4. */
  lineOctetsMax: 12 * KiB,
  errorsInRowMax: 20,
  /** RFC 1939 section 3 asks for ten minutes at least. */
  idleTimeoutMs: 10 * 60_000,
  /** Messages that one read ahead may take: a client that takes them all asks for them one by one. */
  readAheadMessages: 1000,
} as const;

/** IMAP; what RFC 7162 section 4 and RFC 9051 section 4.3 leave open. */
export const imapLimits = {
  /** One line: a set of UIDs of a mailbox with holes is long; RFC 7162 section 4 asks for 8192 at least. */
  lineOctetsMax: 64 * KiB,
  /** Lines and literals of one command, literals that go to disk aside. */
  commandOctetsMax: 256 * KiB,
  /** The same before login: a name, a password, a SASL response. */
  beforeLoginOctetsMax: 16 * KiB,
  /** A literal that was not asked for and is too large is read and dropped up to this, past it the connection ends. */
  skippedOctetsMax: 128 * MiB,
  /** Messages of one MULTIAPPEND. */
  appendMessagesMax: 1000,
  listItemsMax: 10_000,
  setRangesMax: 20_000,
  searchKeysMax: 1000,
  searchDepthMax: 50,
  sectionDepthMax: 60,
  /** Syntax errors in a row before the connection ends: by then it is no IMAP client. */
  errorsInRowMax: 50,
  /** Commands that one client may have done in a second; past it, it waits for the next. */
  commandsPerSecondMax: 5000,
  /** RFC 9051 section 5.4 asks for 30 minutes at least. */
  idleTimeoutMs: 31 * 60_000,
  /** In IDLE the client hears something at least so often: shorter than what translators of addresses remember. */
  idleSignMs: 2 * 60_000,
  /** Answers are gathered up to this before they are written. */
  writeOctets: 64 * KiB,
  /** Larger literals that do not fit into what is gathered go out as they are: they need not be copied. */
  gatheredLiteralOctets: 16 * KiB,
  /** Messages looked up together for one FETCH. */
  fetchBatch: 500,
  /** A command that takes longer than this is reported as going on. RFC 9585. */
  progressMs: 10_000,
  /** Searches whose changes one session is told. RFC 5267 section 4.3.1. */
  contextsMax: 10,
  /** One METADATA value, told as MAXSIZE. RFC 5464 section 4.3. */
  metadataValueOctetsMax: 64 * KiB,
  /** Commands of one user of which rules and plugins have not heard yet, and their messages; later ones are not told. */
  pendingEventsMax: 1000,
  pendingEventMessagesMax: 100_000,
} as const;

/** Clients that read mail and keep scripts: IMAP, POP3, ManageSieve. */
export const accessLimits = {
  /** Octets of a connection read ahead of its protocol; past it the client's TCP waits. */
  readAheadOctets: 64 * KiB,
  /** Octets written ahead of a client that reads slowly; past it the answer waits. */
  writeAheadOctets: 256 * KiB,
  /** A client has this long to say the next thing until it is logged in. */
  beforeLoginMs: 60_000,
  /** A client that takes nothing of an answer for this long is gone. */
  writeStallMs: 5 * 60_000,
  /** How long a client may take to read the last words. */
  lastWordsMs: 2000,
  /** Failed logins of one network are remembered this long; each makes the next answer wait longer. */
  failuresMemoryMs: 15 * 60_000,
  /** Such networks remembered; past it the oldest is forgotten. */
  failuresNetworksMax: 20_000,
  /** The longest a failed login is answered late: short of what makes clients give up. */
  failureDelayMsMax: 15_000,
} as const;
