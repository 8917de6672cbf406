/** Limits of what is read of a message: header, MIME structure, HTML. */
import { KiB, MiB } from './units.ts';

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

/** How far the end of a header is looked for, whatever `headerBytesMax` says: everybody must find the same end. */
export const headerScanBytesMax = 4 * MiB;
/** HTML that `parsed()` turns into text; longer HTML is handed on as it is. One MiB takes a second at most. */
export const htmlToTextCharactersMax = 1 * MiB;
/** Nested elements of such HTML: the time of the conversion grows with the square of them. */
export const htmlDepthMax = 1000;
/** A single header field that `parsed()` looks into: mailparser's field parsers are made for short ones. */
export const parsedFieldBytesMax = 256 * KiB;
/** Forged results deleted one by one: far above what any way through relays leaves, and each goes through the whole header. */
export const forgedResultsMax = 20;
/** A file of messages that a command opens whole; an mbox is looked through in memory. */
export const openedFileBytesMax = 1024 * MiB;
