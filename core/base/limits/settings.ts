/** Limits that an operator may set: `limits` in the config overrides them. */
import { MiB } from './units.ts';

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
