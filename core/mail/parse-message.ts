/** mailparser's view of a message, with our limits, without its inventions, and with every failure an answer. */
import type { Readable } from 'node:stream';
import type { ParsedMail } from 'mailparser';
import { parsedFieldBytesMax } from '../base/limits/message.ts';
import type { Limits } from '../base/limits/settings.ts';
import type { Chunk, GuardedParser } from './guarded-parser.ts';
import type { ParsedMessage, TooLarge } from './message.ts';

export type ParseLimits = Pick<
  Limits,
  'parsedMessageBytesMax' | 'mimePartsMax' | 'mimeDepthMax' | 'headerBytesMax'
>;

/** Fields of the header that ParsedMail has a property for. */
const properties = {
  subject: 'subject',
  references: 'references',
  date: 'date',
  from: 'from',
  to: 'to',
  cc: 'cc',
  bcc: 'bcc',
  'message-id': 'messageId',
  'in-reply-to': 'inReplyTo',
  'reply-to': 'replyTo',
  priority: 'priority',
} as const;

/**
 * Parses a message of `length` octets; `open` gives its octets and is called again for a second try. Whatever the
 * octets are there is an answer: `tooLarge` with its reason, or the parts. The text of an HTML-only message is made
 * from up to `htmlToTextCharactersMax`; longer or broken HTML stays in `html` alone.
 * @throws OperationalError `spool-unreadable`, when the octets cannot be read.
 */
export async function parseMessage(
  open: () => Readable,
  length: number,
  limits: ParseLimits,
): Promise<ParsedMessage | TooLarge> {
  if (length > limits.parsedMessageBytesMax) return { tooLarge: true, reason: 'size' };
  const { GuardedParser, HtmlNotConverted, LimitPassed } = await import('./guarded-parser.ts');
  const start = (skipHtmlToText: boolean) => {
    const parser = new GuardedParser({
      partsMax: limits.mimePartsMax,
      depthMax: limits.mimeDepthMax,
      fieldBytesMax: parsedFieldBytesMax,
      headerBytesMax: limits.headerBytesMax,
      skipHtmlToText,
    });
    return collect(parser, open());
  };
  const first = await start(false);
  const answer = first instanceof HtmlNotConverted ? await start(true) : first;
  if (answer instanceof LimitPassed) return { tooLarge: true, reason: answer.limit };
  return answer instanceof Error ? { tooLarge: true, reason: 'malformed' } : answer;
}

/** The whole message, or the error that the parser ended with. A failure to read the octets is thrown. */
async function collect(parser: GuardedParser, input: Readable): Promise<ParsedMessage | Error> {
  let unreadable: unknown;
  input.on('error', (error) => {
    unreadable = error;
    parser.destroy(error);
  });
  input.pipe(parser);
  let text: Extract<Chunk, { type: 'text' }> | undefined;
  const attachments: ParsedMail['attachments'] = [];
  try {
    for await (const chunk of parser as AsyncIterable<Chunk>) {
      if (chunk.type === 'text') text = chunk;
      else attachments.push(await readAttachment(chunk));
    }
  } catch (error) {
    if (unreadable) throw unreadable;
    return error instanceof Error ? error : new Error(String(error));
  } finally {
    input.destroy();
  }
  const { headers, headerLines } = parser;
  if (!headers || !headerLines) return new Error('the parser ended without a header');
  return {
    attachments,
    headers,
    headerLines,
    ...fromHeaders(headers),
    html: text?.html ?? false,
    ...(text?.text === undefined ? {} : { text: text.text }),
  } as ParsedMessage;
}

async function readAttachment(
  chunk: Extract<Chunk, { type: 'attachment' }>,
): Promise<ParsedMail['attachments'][0]> {
  const octets: Buffer[] = [];
  for await (const piece of chunk.content) octets.push(piece as Buffer);
  chunk.release();
  return { ...chunk, content: Buffer.concat(octets) } as unknown as ParsedMail['attachments'][0];
}

/** The fields of the header that ParsedMail has a property for. */
function fromHeaders(headers: ParsedMail['headers']): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const [field, property] of Object.entries(properties)) {
    if (headers.has(field)) found[property] = headers.get(field);
  }
  return found;
}
