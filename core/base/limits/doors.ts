/** Limits of the doors where mail comes in: SMTP, LMTP, milter, filters. */
import { KiB, MiB } from './units.ts';

/** Replies of one server that a client holds at once; RFC 5321 section 4.5.3.1.5 says 512 octets a line. */
export const smtpReplyBytesMax = 256 * KiB;
/** Replies that may arrive before they are read: one for each recipient of a pipelined transaction. */
export const smtpRepliesAheadMax = 20_000;
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
/** A connection to the server behind a filter door rests this long; Postfix keeps one for a hundred seconds. */
export const idleNextMs = 10_000;
/** How long `mailfilter deliver` waits for the running server to say something: RFC 5321 section 4.5.3.2.6 gives the end of data ten minutes. */
export const deliverWaitMs = 10 * 60_000;
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

/** OpenSMTPD's filter protocol. */
export const openSmtpdLimits = {
  /** smtpd's own limit for a line of a message is 64 KiB, and the fields before it are short. */
  lineBytesMax: 256 * KiB,
  /** Octets of all sessions that wait for an answer before smtpd is read on. */
  waitingBytesMax: 16 * MiB,
} as const;
