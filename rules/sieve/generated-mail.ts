/** Messages that a run makes itself: vacation replies, notifications, rejections. RFC 5322, RFC 3834. */
import { formatDate, makeMessageId } from '../../core/mail/date.ts';
import { formatField } from '../../core/mail/format-field.ts';
import type { Run } from './run.ts';
import { cutToOctets, textOctets } from './text.ts';

export interface GeneratedMail {
  /** In order, without Date and Message-ID. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** Text; or, with `isMime`, header fields of a MIME entity, an empty line and its content. */
  readonly body: string;
  readonly isMime?: boolean;
}

/** A mail-safe value of a generated field: one line, at most 998 octets of it. */
export function fieldText(text: string): string {
  return cutToOctets(
    text
      .replace(/[\x00-\x1f\x7f]+/g, ' ')
      .toWellFormed()
      .trim(),
    998,
  );
}

/** Header and body, CRLF line ends. */
export function writeMail(run: Run, mail: GeneratedMail): Uint8Array {
  const { now } = run.environment;
  const hostname = run.settings.hostname ?? 'localhost';
  const fields: [string, string][] = [
    ['Date', formatDate(now)],
    ['Message-ID', makeMessageId(hostname, now)],
    ...mail.fields.map(([name, value]): [string, string] => [name, value]),
    ['MIME-Version', '1.0'],
  ];
  const body = textOctets(crlfText(mail.body));
  const header = Buffer.concat(fields.map(([name, value]) => formatField(name, value)));
  if (mail.isMime === true) return Buffer.concat([header, body]);
  const ascii = !body.some((octet) => octet > 127);
  const description = `Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: ${ascii ? '7bit' : '8bit'}\r\n\r\n`;
  return Buffer.concat([header, Buffer.from(description), body]);
}

function crlfText(text: string): string {
  const lines = text.replace(/\r?\n/g, '\r\n').replace(/\0/g, '');
  return lines.endsWith('\r\n') ? lines : `${lines}\r\n`;
}

/** RFC 5322 section 3.6.4: the parent's references and its own id. */
export function threadFields(run: Run): [string, string][] {
  const { fields } = run.original;
  const id = fields.rawValues('message-id')[0]?.match(/<[^<>\s]+>/)?.[0];
  if (id === undefined) return [];
  const before = fields.rawValues('references')[0] ?? fields.rawValues('in-reply-to')[0] ?? '';
  const ids = before.match(/<[^<>\s]+>/g) ?? [];
  // The first and the newest ones where there are too many. RFC 5537 section 3.4.4.
  const kept = ids.length > referencesMax ? [ids[0]!, ...ids.slice(-referencesMax + 1)] : ids;
  return [
    ['In-Reply-To', id],
    ['References', [...kept, id].join('\r\n ')],
  ];
}

const referencesMax = 20;
