/** MIME entities put together again after a part was replaced, or the message enclosed. RFC 2046. */
import { randomBytes } from 'node:crypto';
import { formatField } from '../../../core/mail/format-field.ts';
import { textOctets } from '../text.ts';
import type { Part } from './part.ts';

export interface Entity {
  /** Content-Type and what else describes the content. */
  readonly description: readonly { readonly name: string; readonly value: string }[];
  readonly body: Buffer;
}

/** Plain text as an entity, CRLF line ends. */
export function textEntity(text: string): Entity {
  const octets = textOctets(text.replace(/\r?\n/g, '\r\n'));
  const ascii = !octets.some((octet) => octet > 127);
  return {
    description: [
      { name: 'MIME-Version', value: '1.0' },
      { name: 'Content-Type', value: 'text/plain; charset=utf-8' },
      { name: 'Content-Transfer-Encoding', value: ascii ? '7bit' : '8bit' },
    ],
    body: octets,
  };
}

/** An entity that comes with its own header: `:mime`. */
export function mimeEntity(source: string): Entity {
  const text = source.replace(/\r?\n/g, '\r\n');
  const end = text.search(/(?:^|\r\n)\r\n/);
  const header = end < 0 ? '' : text.slice(0, end);
  const body = end < 0 ? text : text.slice(end).replace(/^(?:\r\n){1,2}/, '');
  const lines = header === '' ? [] : header.replace(/\r\n(?=[ \t])/g, '').split('\r\n');
  const description = lines.flatMap((line) => {
    const colon = line.indexOf(':');
    return colon > 0 ? [{ name: line.slice(0, colon).trim(), value: line.slice(colon + 1).trim() }] : [];
  });
  const content = description.filter(({ name }) => /^content-[\x21-\x39\x3b-\x7e]+$/i.test(name));
  return { description: [{ name: 'MIME-Version', value: '1.0' }, ...content], body: textOctets(body) };
}

/** Octets of an entity with its header. */
export function entityOctets(entity: Entity): Buffer {
  const fields = entity.description
    .filter(({ name }) => name.toLowerCase() !== 'mime-version')
    .map(({ name, value }) => formatField(name, value));
  return Buffer.concat([...fields, Buffer.from('\r\n'), entity.body]);
}

/** A multipart of octets that are entities. */
export function multipart(subtype: string, parts: readonly Buffer[]): Entity {
  const boundary = `=_${randomBytes(12).toString('hex')}`;
  const pieces = parts.flatMap((part) => [Buffer.from(`--${boundary}\r\n`), part, Buffer.from('\r\n')]);
  return {
    description: [
      { name: 'MIME-Version', value: '1.0' },
      { name: 'Content-Type', value: `multipart/${subtype}; boundary="${boundary}"` },
    ],
    body: Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)]),
  };
}

/**
 * The body of the outermost part with one part's octets in place of another's. A part lies in its parents' octets as a
 * view, so its place is known.
 */
export function replaceOctets(root: Part, part: Part, octets: Buffer): Buffer {
  const { body } = root;
  const start = part.octets.byteOffset - body.byteOffset;
  return Buffer.concat([body.subarray(0, start), octets, body.subarray(start + part.octets.length)]);
}
