/** Where the octets of a new message come from: a literal on disk, or CATENATE's pieces. RFC 9051 section 6.3.12, RFC 4469. */
import type { Upload } from '../../mailbox/mailbox.ts';
import { OpenedMessage, partOf } from './body-section.ts';
import type { Cursor, MessageLiteral } from './parse/cursor.ts';
import { type MessageUrl, readMessageUrl } from './parse/message-url.ts';
import { bad, no } from './refusal.ts';
import type { Session } from './session.ts';

export type MessageSource =
  | { readonly kind: 'literal'; readonly literal: MessageLiteral }
  | { readonly kind: 'catenate'; readonly parts: readonly CatenatePart[] };

type CatenatePart =
  | { readonly kind: 'text'; readonly literal: MessageLiteral }
  | { readonly kind: 'url'; readonly written: string };

export function readMessageSource(input: Cursor): MessageSource {
  // RFC 6855's wrapper for messages with UTF-8 headers; here every message may have them. RFC 9755 section 4.
  if (input.skip('UTF8 (')) {
    const literal = input.message();
    input.expect(')');
    return { kind: 'literal', literal };
  }
  if (!input.skip('CATENATE ')) return { kind: 'literal', literal: input.message() };
  const parts = input.list((): CatenatePart => {
    if (input.skip('TEXT ')) return { kind: 'text', literal: input.message() };
    if (!input.skip('URL ')) throw bad('TEXT or URL was expected');
    return { kind: 'url', written: input.astring() };
  });
  return { kind: 'catenate', parts };
}

/** True when the literal that follows the text is a message, or a piece of one: not the mailbox's name, not a URL. */
export function takesMessageLiteral(before: string): boolean {
  const text = before.replace(/~?\{\d+\+?\}$/, '');
  if (/^\S+ (?:(?:UID )?REPLACE \S+|APPEND) $/i.test(text)) return false;
  return !/[ (]URL $/i.test(text);
}

/** @param made uploads of this command, which its owner discards */
export async function uploaded(session: Session, source: MessageSource, made: Upload[]): Promise<Upload> {
  if (source.kind === 'literal') return source.literal.upload;
  const upload = await session.account.upload();
  made.push(upload);
  const room = session.house.config().limits.messageBytesMax;
  for (const part of source.parts) {
    if (part.kind === 'text') await copyUpload(part.literal.upload, upload);
    else await upload.write(await urlOctets(session, part.written));
    if (upload.octets > room) throw no('the message is too large', 'TOOBIG');
  }
  return upload;
}

async function copyUpload(from: Upload, to: Upload): Promise<void> {
  for await (const chunk of from.read()) await to.write(chunk);
}

/** RFC 4469 section 3: a URL that leads nowhere is named. */
async function urlOctets(session: Session, written: string): Promise<Buffer> {
  const url = readMessageUrl(written);
  const octets = url && (await fetchUrl(session, url).catch(() => undefined));
  if (!octets)
    throw no('the URL leads to nothing', `BADURL ${JSON.stringify(written.replace(/[^\x20-\x7e]/g, '?'))}`);
  return octets;
}

async function fetchUrl(session: Session, url: MessageUrl): Promise<Buffer | undefined> {
  const name = url.mailbox === undefined ? session.selected.folder.name : session.folderName(url.mailbox);
  const folder = await session.account.openFolder(name, { readOnly: true });
  try {
    const { uidValidity } = await folder.refresh();
    if (url.uidValidity !== undefined && url.uidValidity !== uidValidity) return undefined;
    for await (const { octets } of folder.messages([url.uid], 'all')) {
      const whole = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
      const section = new OpenedMessage(whole).section(url.section);
      return section && partOf(section, url.partial);
    }
    return undefined;
  } finally {
    folder.close();
  }
}
