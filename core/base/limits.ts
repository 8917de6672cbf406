/** Every limit of the engine in one place, with its reason. `limits` in the config overrides the fields of Limits. */

/** Limits that an operator may set. Units are the last word of each name. */
export interface Limits {
  /** Largest message accepted, announced as SIZE. RFC 1870. */
  messageBytesMax: number;
  /** Up to this size a message lives in shared memory and in the journal record; above it in a spool file. */
  memoryMessageBytesMax: number;
  /** Shared memory that all messages in flight may hold together; past it, messages go to spool files. */
  memoryTotalBytesMax: number;
  /** Recipients of one transaction; RFC 5321 section 4.5.3.1.8 asks for at least 100. */
  recipientsMax: number;
  /** Connections at once, all listeners of a role together. */
  connectionsMax: number;
  /** Connections at once from one address (IPv4) or /64 (IPv6); loopback and `trustedNetworks` are exempt. */
  connectionsPerAddressMax: number;
  /** Silence after which a session is closed with 421; RFC 5321 section 4.5.3.2.7 asks for five minutes. */
  idleTimeoutMs: number;
  /** The whole of one DATA or BDAT sequence, so that a byte a minute cannot hold a slot for ever. */
  dataTimeoutMs: number;
  /** 5yz answers in one session before it is closed with 421. */
  errorsPerSessionMax: number;
  /** Command line octets, CRLF included; RFC 5321 section 4.5.3.1.4 says 512, extensions add to it. */
  commandLineBytesMax: number;
  /** Failed AUTH attempts in one session. */
  authFailuresMax: number;
  /** Messages in one session. */
  messagesPerSessionMax: number;
  /** Header fields in one message; more is refused with 554 5.6.0. */
  headerFieldsMax: number;
  /** Octets of the whole header block. */
  headerBytesMax: number;
  /** Received fields before a message counts as looping; RFC 5321 section 6.3 asks for at least 100. */
  receivedFieldsMax: number;
  /** Nested MIME parts that `parsed()` follows. */
  mimeDepthMax: number;
  /** MIME parts that `parsed()` makes. */
  mimePartsMax: number;
  /** Above this size `parsed()` answers `tooLarge`. */
  parsedMessageBytesMax: number;
}

const KiB = 1024;
const MiB = 1024 * KiB;

export const defaultLimits: Limits = {
  messageBytesMax: 50 * MiB,
  memoryMessageBytesMax: 1 * MiB,
  memoryTotalBytesMax: 128 * MiB,
  recipientsMax: 1000,
  connectionsMax: 2000,
  connectionsPerAddressMax: 100,
  idleTimeoutMs: 5 * 60_000,
  dataTimeoutMs: 30 * 60_000,
  errorsPerSessionMax: 20,
  commandLineBytesMax: 4096,
  authFailuresMax: 3,
  messagesPerSessionMax: 10_000,
  headerFieldsMax: 5000,
  headerBytesMax: 1 * MiB,
  receivedFieldsMax: 100,
  mimeDepthMax: 100,
  mimePartsMax: 10_000,
  parsedMessageBytesMax: 32 * MiB,
};

/** A config file: larger than any written by hand, small enough to read at once. */
export const configBytesMax = 4 * MiB;
/** Nesting of a config file; recursion in its reader stays shallow. */
export const configDepthMax = 64;
/** Replies of one server that a client holds at once; RFC 5321 section 4.5.3.1.5 says 512 octets a line. */
export const smtpReplyBytesMax = 256 * KiB;
/** Replies that may arrive before they are read: one for each recipient of a pipelined transaction. */
export const smtpRepliesAheadMax = 20_000;
/** A secret kept in a file of its own; a longer one is a mistaken path. */
export const secretBytesMax = 64 * KiB;
/** Lines that a log cannot take now, its disk full or its reader stuck; past this they are dropped. */
export const logBufferBytesMax = 16 * MiB;
/** How deep facts of a log line are searched for secrets. */
export const logFactsDepthMax = 6;

/** Levels of a folder name; Dovecot allows 16 as well. */
export const folderDepthMax = 16;
/** Keywords of one folder: a Maildir has the letters a to z for them. */
export const keywordsMax = 26;
/** Octets of a folder's name on disk: file systems allow 255, and lock files add to it. */
export const folderNameBytesMax = 200;
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
/** A plugin's state key, in octets: a hash or an address, not a message. */
export const stateKeyBytesMax = 1024;
/** The classifier of plugins/bayes: what of a message it looks at. */
export const bayesLimits = {
  /** More tokens hardly change a judgement, and each is a key that is read. */
  tokensMax: 1500,
  /** Of decoded text, and of HTML. */
  textCharacters: 100_000,
  fieldCharacters: 2000,
  /** A longer word is encoded data or a language of long words: only its length counts. */
  wordCharacters: 30,
  attachments: 50,
  /** The strongest tokens that are combined. */
  cluesMax: 150,
} as const;
/** Keys of one question: the tokens of a message, for a user and for the site, fit in. */
export const stateKeysMax = 4000;
/** A plugin's state value, in octets of JSON. */
export const stateValueBytesMax = 256 * KiB;
/** All state of an installation on disk; past it writes fail and say so. */
export const stateBytesMax = 4096 * MiB;
/** Keys that one `list` answers. */
export const stateListMax = 10_000;
/** Keys of all plugins in the memory engine; about 200 octets each. */
export const stateMemoryEntriesMax = 500_000;
/** Expired keys are removed this often, this many at a time: a few milliseconds. */
export const stateSweepMs = 5000;
export const stateSweepRows = 2000;

/** What a regular expression of an operator or user may be, so that it runs in bounded time on any text. */
export const patternLimits = {
  /** Far above any pattern written by hand. */
  sourceCharsMax: 10_000,
  /** Groups within groups: the parser and the judge recurse that deep. */
  nestingMax: 100,
  /** RE2's own limit of a counted repeat. */
  repeatMax: 1000,
  /** Characters with repeats written out: RE2 takes about 10 ns for each of them and each character of text at worst. */
  sizeMax: 1000,
  /** Of a backtracking match, about 1 ns each: half a second on 1 MiB at the very worst. */
  stepsPerCharacterMax: 500,
};
/** Octets of large messages between two collections of their buffers; each takes about half a millisecond. */
export const collectEveryBytes = 8 * MiB;
/** Octets of a message that may wait for the spool file's write before its sender has to. */
export const spoolWriteBytesMax = 256 * KiB;
/** How long a delivery waits for the locks of an mbox before it counts as failed and is tried again later. */
export const mboxLockWaitMs = 30_000;
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
  /** So many messages without facts are read for all at once; fewer at once for who asks. */
  messagesAtOnceMax: 500,
  /** A folder that changes is read this much later: who asks for the new message reads it at once. */
  delayMs: 200,
  /** How long reading in advance steps aside for who waits. */
  yieldMs: 20,
  /** Octets in which the header of nearly every message ends. */
  headerBytes: 16 * KiB,
} as const;
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

/** What one answer of a hook may hold: a plugin gone wild must not fill the core's memory. */
export const answerLimits = {
  /** Values within `result` or the facts of a log line; several times what a scanner reports. */
  jsonNodesMax: 20_000,
  /** Keys and strings of the same, 1 MiB. */
  jsonCharactersMax: MiB,
  /** Nesting of the same; also what ends a value that holds itself. */
  jsonDepthMax: 50,
  /** Edits of one answer. */
  editsMax: 2000,
  symbolsMax: 2000,
  authMax: 200,
  actionsMax: 200,
  /** Lines of context.log in one call. */
  logLinesMax: 100,
  /** Text of a reply; several lines of RFC 5321 section 4.5.3.1.5. */
  replyCharactersMax: 2000,
} as const;

/** Plugins in threads. */
export const pipelineLimits = {
  /** Requests that one thread carries at once; slow plugins wait, so this bounds memory, not speed. */
  threadRequestsMax: 1000,
  /** Requests that wait for a thread before the plugins' policies answer at once. */
  queuedRequestsMax: 10_000,
  /** A plugin that keeps the event loop of its thread this long is stuck, whatever its own timeout. */
  threadStuckMs: 10_000,
  /** Buffers lie outside the heap: how many times the heap's limit a thread may hold in them. */
  externalMemoryFactor: 2,
  /** How often a busy thread is looked at; a tenth of the shortest sensible timeout. */
  heartbeatMs: 100,
  /** Loading and setting up the plugins of one thread. */
  threadStartMs: 60_000,
  /** For dispose() of the plugins of one thread. */
  disposeMs: 1000,
  /** Starts of a replacement thread that fail in a row before waiting requests are answered by policy. */
  threadStartsMax: 3,
  /** Threads that look for a culprit, one transaction alone in each. */
  isolationThreadsMax: 4,
  /** Runs of one request: the first and two more; one beyond where the last showed which of its calls ends threads. */
  runsMax: 3,
  /** Past the sum of all plugins' timeouts, a request with no answer is settled by policy after this long. */
  lostReplyMs: 5000,
  /** Threads of an older reload end at the latest after this: as long as a whole DATA may take. */
  oldGenerationMs: 30 * 60_000,
  /** Transactions and connections whose generation is remembered. */
  rememberedIdsMax: 100_000,
  /** Questions (DNS, state ...) of one run of one request. */
  questionsMax: 20_000,
  /** Lines of plugin output per second and thread that reach the log. */
  outputLinesPerSecondMax: 50,
  outputCharactersMax: 2000,
  /** Recipients of one request whose deliver hooks run at the same time. */
  deliveriesAtOnce: 8,
  /** Trace entries: longer texts are cut, longer lists counted. */
  traceCharactersMax: 2000,
  traceItemsMax: 50,
} as const;

/** Password hashes worked out at once: they share the thread pool with fdatasync. */
export const passwordChecksAtOnce = 2;
/** Logins that may wait for one of those; at 50 ms a hash the last waits five seconds. */
export const passwordChecksWaitingMax = 200;
/** Of those, logins of one client: past it that client alone is told to come back. */
export const passwordChecksWaitingPerClientMax = 20;
/** How long a right password is remembered, so that a busy client is not hashed at each login. */
export const passwordMemoryMs = 120_000;
export const passwordMemoryEntriesMax = 10_000;
/** Octets of a password: RFC 4616 section 2 allows 255 characters of UTF-8; a passphrase fits. */
export const passwordBytesMax = 1024;
/** A users file of a hundred thousand users. */
export const usersFileBytesMax = 64 * MiB;

/** What a list of JSON rules may be and do to one message. */
export const ruleLimits = {
  /** Far above a list that a person keeps. */
  rulesMax: 1000,
  /** `all`, `any` and `not` within each other: the compiler recurses that deep. */
  conditionDepthMax: 20,
  /** Characters one placeholder may put into a value. */
  substitutionCharsMax: 500,
  /** Characters of one header value that a condition looks at; longer values are looked at this far. */
  headerValueCharsMax: 64 * KiB,
  /** Values of one subject that a condition looks at: fields of a name, recipients, attachments. */
  valuesMax: 5000,
};
/** File names and ids remembered while recovery looks for copies that are there already: some tens of MiB. */
export const foundNamesMax = 200_000;

/** Octets that a client may send past messageBytesMax before its connection is cut; until then it hears 552. */
export const excessDataBytesMax = 64 * MiB;
/** Each failed AUTH is answered this much later, so that a session is a slow way to guess. */
export const authFailureDelayMs = 1000;
/** Commands of one packet that are worked off before other connections get a turn. */
export const commandsPerTurnMax = 100;
/** How long a client may take over a PROXY header or the handshake of implicit TLS. */
export const preludeTimeoutMs = 60_000;
/** A PROXY header: version 1 has at most 107 octets, version 2 16 and a block of addresses and TLVs. */
export const proxyHeaderBytesMax = 16 + 2048;
/** Connections that the kernel keeps while the event loop is busy; it cuts this to net.core.somaxconn. */
export const listenBacklog = 4096;
/** How long a refused connection may take to read why. */
export const lingerMs = 1000;

/** Calls of one role to another. */
export const callLimits = {
  /** A message of the largest size, with its envelope. */
  frameBytesMax: 128 * MiB,
  /** Calls of one process that wait for their answers. */
  waitingMax: 1000,
  answerMs: 60_000,
  /** A role is back within a second or two after it died. */
  awayMs: 10_000,
  reconnectMs: 50,
} as const;

/** The MIME structure of stored messages, which may be as hostile as any. */
export const mimeStructureLimits = {
  /** Nested parts; deeper ones are opaque. Clients recurse over what we tell them. */
  depthMax: 50,
  /** Parts of one message; those after it are not told apart. */
  partsMax: 10_000,
  /** A delimiter line: RFC 2046 section 5.1.1 has 70 characters for a boundary; longer ones are met. */
  delimiterOctetsMax: 1000,
  /** The header of a part within a message; what is longer is taken for its body. */
  partHeaderOctetsMax: 64 * KiB,
  parametersMax: 100,
  languagesMax: 100,
  /** Addresses of one field in an ENVELOPE: each costs every list view. */
  addressesMax: 5000,
  /** Fields of one name that RFC 5322 section 3.6 allows once. */
  repeatedFieldsMax: 20,
} as const;

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
  /** Larger literals go out as they are: gathering them would copy them twice. */
  gatheredLiteralOctets: 4 * KiB,
  /** Messages looked up together for one FETCH. */
  fetchBatch: 500,
  /** A command that takes longer than this is reported as going on. RFC 9585. */
  progressMs: 10_000,
  /** Searches whose changes one session is told. RFC 5267 section 4.3.1. */
  contextsMax: 10,
  /** One METADATA value, told as MAXSIZE. RFC 5464 section 4.3. */
  metadataValueOctetsMax: 64 * KiB,
} as const;

/** Scripts that users keep. */
export const scriptLimits = {
  /** RFC 5804 section 1.6 asks for 128 characters; a file name holds 255 octets with its suffix. */
  nameBytesMax: 240,
  /** One script; the largest that people write have some thousand rules. */
  scriptBytesMax: 1 * MiB,
  /** What is noted for the user of failing scripts; a longer log begins anew. */
  userLogBytesMax: 64 * KiB,
  noteCharactersMax: 2000,
  /** Active scripts whose text is remembered between messages. */
  rememberedMax: 2000,
  /** Longer strings are sent as literals. RFC 5804 section 4. */
  quotedBytesMax: 1024,
  /** A line of ManageSieve with its quoted strings: five of the longest, twice for escapes. */
  lineBytesMax: 16 * KiB,
  /** A literal before login: a SASL response. */
  literalBeforeLoginBytesMax: 16 * KiB,
  /** A literal that is too large to be stored is read and dropped up to here, so that the client hears why. */
  literalBytesMax: 64 * MiB,
  /** RFC 5804 section 1.2: at least 30 minutes once logged in. */
  idleTimeoutMs: 30 * 60_000,
  /** Arguments of one command; two are the most that any takes. */
  argumentsMax: 16,
} as const;

/** Clients that read mail and keep scripts: IMAP, POP3, ManageSieve. */
export const accessLimits = {
  /** Octets of a connection read ahead of its protocol; past it the client's TCP waits. */
  readAheadOctets: 64 * KiB,
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

/** How far the end of a header is looked for, whatever `headerBytesMax` says: everybody must find the same end. */
export const headerScanBytesMax = 4 * MiB;
/** HTML that `parsed()` turns into text; longer HTML is handed on as it is. One MiB takes a second at most. */
export const htmlToTextCharactersMax = 1 * MiB;
/** Nested elements of such HTML: the time of the conversion grows with the square of them. */
export const htmlDepthMax = 1000;
/** A single header field that `parsed()` looks into: mailparser's field parsers are made for short ones. */
export const parsedFieldBytesMax = 256 * KiB;

/** procmail's rcfiles. */
export const procmailLimits = {
  /** A mail is held in memory, and a filter's output beside it. */
  mailBytesMax: 256 * MiB,
  /** A line of an rcfile, before and after expansion; procmail's own LINEBUF is 2048 unless it is set. */
  lineMax: 128 * KiB,
  /** Blocks within blocks, and files that include files. */
  blockDepthMax: 100,
  nestingMax: 200,
  /** Braces and quotes of expansions within one another: `${a:-${b:-c}}`. */
  braceDepthMax: 50,
  /** Recipes and assignments that one mail runs through: files may include one another for ever. */
  itemsMax: 100_000,
  /** States of one expression, groups within groups, and sets of states that are remembered. */
  patternStatesMax: 50_000,
  patternDepthMax: 200,
  patternStepsMax: 2000,
  /** Recipes that a trace tells of. */
  tracedRecipesMax: 1000,
} as const;

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
  /** Entries of a destination at rest that are put off in one turn of the event loop. */
  deferAtOnce: 200,
  /** Entries of one message in one attempt, or one report: what a hook and a DSN can hold. */
  groupEntriesMax: 1000,
} as const;
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
/** What the recipients of one transaction may become by lists: every hook is given all of them. */
export const expandedRecipientsMax = 10_000;
/** Forged results deleted one by one: far above what any way through relays leaves, and each goes through the whole header. */
export const forgedResultsMax = 20;

/** Names in DNS. */
export const dnsLimits = {
  /** Questions on the wire at the same time; past it, asking fails at once and temporarily. */
  questionsAtOnce: 1000,
  /** Answers kept; some hundred octets each. */
  cacheEntriesMax: 10_000,
  /** Held where the answer's own time is not known, as node:dns tells that of addresses alone. */
  presentSeconds: 60,
  /** RFC 2308 section 5 goes by the SOA record, which is not seen: short, as new names appear. */
  absentSeconds: 30,
  heldSecondsMax: 3600,
  /** Long enough that one message does not ask a dead server ten times; RFC 2308 section 7 allows five minutes. */
  failureSeconds: 2,
} as const;

/** How a role ends after SIGTERM; all of it is less than the 35 seconds after which the supervisor kills it. */
export const drainLimits = {
  /** Clients may end what they began. */
  sessionsMs: 27_000,
  /** Then messages that are being decided may still be answered. */
  decisionMs: 4000,
  /** How often connections are looked at that may have become idle. */
  idleSweepMs: 50,
  /** Close hooks of sessions whose message was given up. */
  closeHooksMs: 500,
  /** Then the process ends whatever still runs; the journal has all that was answered with a yes. */
  wholeMs: 34_000,
} as const;

/** A connection to the server behind a filter door rests this long; Postfix keeps one for a hundred seconds. */
export const idleNextMs = 10_000;
/** What a Sieve script may be and do. RFC 5228 section 2.10.5 leaves limits to the implementation. */
export const sieveLimits = {
  /** Pigeonhole's default as well; far above any script written by hand. */
  scriptBytesMax: 1 * MiB,
  /** Blocks, and tests, within each other; RFC 5228 section 2.10.5 asks for 15 at least. */
  nestingMax: 32,
  /** Arguments of one command or test; RFC 5228 has none with more than ten. */
  argumentsMax: 32,
  /** Strings of one list. */
  listItemsMax: 10_000,
  /** Errors that one compilation lists. */
  problemsMax: 100,
  /** Actions of one run, redirects included. */
  actionsMax: 32,
  /** Each multiplies mail: Pigeonhole allows four. */
  redirectsMax: 4,
  /** RFC 5435 section 8: notifications must not become a flood. */
  notifiesMax: 10,
  /** RFC 5229 section 3 asks for 128 variables; section 3.1 for values of 4,000 octets at least. */
  variablesMax: 255,
  variableNameCharsMax: 64,
  variableBytesMax: 4096,
  /** `${1}` to `${n}`; RFC 5229 section 3.2 asks for 9. */
  matchValuesMax: 32,
  /** RFC 6609 section 3.2: scripts within scripts, and all of them in one run. */
  includeDepthMax: 10,
  includesMax: 255,
  /** Loops within loops. RFC 5703 section 3 asks for four. */
  loopDepthMax: 8,
  /** Tests and commands of one run, parts of a loop counted each time. */
  stepsMax: 1_000_000,
  /** Wall time of one run, checked between steps; what the pipeline's own deadline would cut less politely. */
  runMs: 30_000,
  /** Question to the environment in one run: folders, lists, seen keys. */
  questionsMax: 500,
  /** Size of a header value that editheader writes. */
  headerValueBytesMax: 2048,
  /** Decoded text that body tests and extracttext look at, in one message. */
  bodyTextBytesMax: 4 * MiB,
  /** MIME parts and their nesting that are followed. */
  mimePartsMax: 1000,
  mimeDepthMax: 32,
  /** What a key of duplicate or a handle of vacation may be before it is hashed. */
  keyBytesMax: 4096,
  /** Trace lines of one run; the last says how many are missing. */
  traceLinesMax: 5000,
  /** Compiled scripts kept by content, and octets of their sources. */
  cachedScriptsMax: 500,
  cachedScriptBytesMax: 16 * MiB,
} as const;

/** The milter protocol, both ends of it. */
export const milterLimits = {
  /** One packet: a body chunk is 64 KiB, a header field of an MTA seldom more than 100 KiB; newer filters may ask for chunks of 1 MiB. */
  packetBytesMax: 1 * MiB + 16,
  /** Macros in one packet; Sendmail and Postfix send a dozen. */
  macrosMax: 200,
  /** Octets of all macros kept for a session: certificates' names and addresses are long, a flood is longer. */
  macroBytesMax: 256 * KiB,
  /** Lists of macros in a negotiation: there are seven stages. */
  macroListsMax: 32,
  /** ESMTP arguments of one MAIL or RCPT. */
  argumentsMax: 64,
  /** Commands read ahead of the one being answered; what an MTA sends unasked are macros, headers and body chunks. */
  commandsAheadMax: 256,
  /** An MTA waits 10 s for these by default (Sendmail's T=R), so that it hears of us before. */
  progressMs: 5000,
  /** A session between two commands: Postfix and Sendmail keep it as long as their client's, 300 s and 1 h. */
  idleTimeoutMs: 2 * 60 * 60_000,
  /** From the socket's beginning to the negotiation. */
  negotiateTimeoutMs: 30_000,
  /** Octets of replies that a peer has not read yet before it is cut: a replaced body is the largest. */
  unreadBytesMax: 256 * MiB,
} as const;
/** DKIM and ARC signatures. */
export const dkimLimits = {
  /** Signatures of one message that are looked at; each costs a question to DNS and one verification. */
  signaturesMax: 10,
  /** Read public keys that a thread remembers; about 2 KB each. */
  publicKeysMax: 1000,
  /** Clocks of others are wrong by this much; RFC 6376 section 3.5 leaves it open. */
  clockSkewSeconds: 300,
} as const;
/** SPF: what one check may ask. RFC 7208 section 4.6.4. */
export const spfLimits = {
  /** Terms that ask DNS: a, mx, ptr, exists, include, redirect. */
  lookupsMax: 10,
  /** Answers without a record. */
  voidLookupsMax: 2,
  /** Hosts of one mx term, names of one ptr term or %{p}. */
  namesMax: 10,
  /** A macro may not make a name of DNS longer than that; what is longer loses labels from the left. */
  nameOctetsMax: 253,
} as const;
/** DMARC. */
export const dmarcLimits = {
  /** Names asked for a policy in one walk up the tree. RFC 9989 section 4.10. */
  treeWalkMax: 8,
  /** Domains in From that are judged, each with a walk of its own. */
  authorDomainsMax: 5,
  /** Addresses of rua= that are kept of a record. */
  reportAddressesMax: 10,
  /** Rows of one domain's aggregate report of one day; further ones are left out and counted in the log. */
  reportRowsMax: 5000,
  /** How often reports that are due are looked for; they may be a day late. */
  reportLookMs: 3_600_000,
  /** How long what a report needs is kept: the day itself and time to send it. */
  reportKeptSeconds: 4 * 24 * 3600,
} as const;
/** ARC sets of one message. RFC 8617 section 5.2 says 50. */
export const arcSetsMax = 50;

/** OpenSMTPD's filter protocol. */
export const openSmtpdLimits = {
  /** smtpd's own limit for a line of a message is 64 KiB, and the fields before it are short. */
  lineBytesMax: 256 * KiB,
  /** Octets of all sessions that wait for an answer before smtpd is read on. */
  waitingBytesMax: 16 * MiB,
} as const;

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
  /** What was found of a domain's policy holds this long without another look; its TXT record is seldom kept shorter. */
  stsFreshMs: 60_000,
  /** Failures that one TLS report tells apart for one domain. */
  tlsReportFailuresMax: 100,
  /** Domains with counters of one day. */
  tlsReportDomainsMax: 100_000,
  /** Reports on failed mail to one sender within an hour; the next ones wait. */
  bouncesPerHour: 100,
  bounceSendersMax: 10_000,
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
} as const;

/** How often quarantined mail is looked at for what is past its time. */
export const quarantineLookMs = 10 * 60_000;

/** Daemons that plugins ask: clamd, spamd, rspamd. */
export const daemonLimits = {
  /** They are near; one that is busy still accepts. */
  connectMs: 5000,
  /** Failures in a row after which a daemon rests that accepted connections and did not serve. */
  failuresMax: 3,
  restMsMin: 1000,
  restMsMax: 30_000,
  /** Left of a hook's time for telling what is wrong. */
  marginMs: 250,
} as const;
