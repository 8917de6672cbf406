/** The files of a message: parts with a name, parts that are no text, and files written into a text. RFC 2045, RFC 2183, RFC 2231. */
import { decodeTransfer, decodeWords } from 'mailfilter/mail';
import { readFields } from '../../rules/sieve/fields.ts';
import { parseStructured } from '../../rules/sieve/mime/parameters.ts';
import { type Part, readMessage, walkParts } from '../../rules/sieve/mime/part.ts';
import { cutName } from './names.ts';

export interface MailFile {
  /** What one or the other mail reader may show; the first is the one that most show. */
  readonly names: readonly string[];
  /** As declared, lower case. */
  readonly type: string;
  /** Undefined where the encoding is not known. */
  readonly octets: Buffer | undefined;
}

const partLimits = { mimePartsMax: 1000, mimeDepthMax: 50 };
/** Messages in messages that were encoded, which MIME forbids and some readers open. */
const encodedMessagesMax = 10;

/** @returns the files, and whether there are parts that were not told apart */
export function filesOf(message: Buffer): { files: MailFile[]; cut: boolean } {
  const files: MailFile[] = [];
  const waiting = [message];
  let parts = 0;
  let cut = false;
  for (let at = 0; at < waiting.length && at <= encodedMessagesMax; at += 1) {
    const octets = waiting[at]!;
    const { fields, bodyStart } = readFields(octets);
    for (const part of walkParts(readMessage(fields, octets.subarray(bodyStart), partLimits))) {
      parts += 1;
      const encoding = encodingOf(part);
      const told = namesOf(part);
      const names = told.slice(0, namesMax);
      cut ||= told.length > namesMax;
      const type = `${part.type}/${part.subtype}`;
      // RFC 2046 section 5.2.1 lets no message be encoded; some are.
      const isEncodedMessage = messages.includes(type) && /^(?:base64|quoted-printable)$/.test(encoding);
      if (isEncodedMessage) waiting.push(decodeTransfer(part.body, encoding) ?? part.body);
      else if (part.children.length > 0) continue;
      else if (part.type === 'text' && names.length === 0) {
        const within = filesInText(decodeTransfer(part.body, encoding) ?? part.body);
        files.push(...within.files);
        cut ||= within.cut;
      } else {
        // Too deep, encoded, or without a boundary: what is in it is not seen.
        cut ||= part.type === 'multipart' || messages.includes(type);
        files.push({ names, type, octets: decodeTransfer(part.body, encoding) });
      }
    }
  }
  cut ||= parts >= partLimits.mimePartsMax || waiting.length > encodedMessagesMax;
  return { files, cut };
}

const messages: readonly string[] = ['message/rfc822', 'message/global'];
/** Ways to name a part; honest mail has two. */
const namesMax = 8;

function encodingOf({ fields }: Part): string {
  const written = fields.rawValues('content-transfer-encoding')[0] ?? '7bit';
  return parseStructured(written).value || '7bit';
}

/** A field may say it in several ways, and there may be several fields: readers differ in which they believe. */
function namesOf({ fields }: Part): string[] {
  const names = new Set<string>();
  for (const [field, parameter] of [
    ['content-disposition', 'filename'],
    ['content-type', 'name'],
  ] as const) {
    for (const value of fields.rawValues(field)) {
      const told = parseStructured(value).parameters.get(parameter);
      if (told) names.add(nameFrom(told));
      const written = new RegExp(
        `[;\\s]${parameter}\\s*=\\s*(?:"([^"]{1,500})"|([^;"\\s]{1,500}))`,
        'i',
      ).exec(value);
      const plain = written?.[1] ?? written?.[2];
      if (plain) names.add(nameFrom(plain));
    }
  }
  return [...names];
}

function nameFrom(written: string): string {
  return cutName(decodeWords(cutName(written)));
}

/** uuencode and yEnc: a reader shows them as files. POSIX.1-2024, uuencode. */
function filesInText(text: Buffer): { files: MailFile[]; cut: boolean } {
  const files: MailFile[] = [];
  const line =
    /^(?:begin(?:-base64)? [0-7]{3,4} ([^\r\n]{1,4096})|=ybegin [^\r\n]{1,200} name=([^\r\n]{1,4096}))/gm;
  const latin = text.toString('latin1', 0, textOctetsMax);
  for (const [, unix, yenc] of latin.matchAll(line)) {
    if (files.length >= textFilesMax) return { files, cut: true };
    files.push({ names: [unix ?? yenc ?? ''], type: 'application/octet-stream', octets: Buffer.alloc(0) });
  }
  return { files, cut: text.length > textOctetsMax };
}

const textFilesMax = 20;
const textOctetsMax = 4 * 1024 * 1024;
