/** A message as plugins and doors see it: immutable bytes, seen through the edits made so far. */
import type { Readable } from 'node:stream';
import type { ParsedMail } from 'mailparser';

export interface HeaderField {
  /** As written in the message. */
  readonly name: string;
  /** Unfolded, outer white space removed, encoded words left as they are. Octets above 127 are read as UTF-8, else as Latin-1. */
  readonly value: string;
  /** The field's octets, folding and line end included. */
  readonly raw: Uint8Array;
}

/** The header block, edits applied. Names compare without case. */
export interface Headers extends Iterable<HeaderField> {
  readonly count: number;
  /** Value of the first field of that name. */
  get(name: string): string | undefined;
  all(name: string): string[];
  has(name: string): boolean;
  /** As `get`, RFC 2047 encoded words decoded. */
  decoded(name: string): string | undefined;
}

export type ParsedMessage = ParsedMail & { readonly tooLarge?: undefined };
/** Above `limits.parsedMessageBytesMax`, past the MIME limits, or nothing that the parser could make sense of. */
export interface TooLarge {
  readonly tooLarge: true;
  readonly reason: 'size' | 'depth' | 'parts' | 'header' | 'malformed';
}

export interface Message {
  /** Octets of the message as received, before edits. */
  readonly length: number;
  readonly headers: Headers;
  /** The body, edits applied, CRLF line ends; a new stream each time, bounded memory whatever the size. */
  body(): Readable;
  /** Header and body, edits applied. */
  raw(): Readable;
  /** mailparser's view of the message, edits applied; parsed once per hop and shared by the plugins of a stage. */
  parsed(): Promise<ParsedMessage | TooLarge>;
}
