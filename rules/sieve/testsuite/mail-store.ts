/** The mailboxes and the mail server that a test script delivers to: all in memory. */
import { applyHeaderEdits, replacedBody } from '../../../core/mail/apply-edits.ts';
import type { Edit } from '../../../core/mail/edit.ts';
import { headerTooLarge, parseHeader } from '../../../core/mail/header.ts';
import { readFields } from '../fields.ts';
import { defaultSieveLimits } from '../limits.ts';
import { readMessage, walkParts } from '../mime/part.ts';

export interface StoredMessage {
  readonly octets: Buffer;
  readonly flags: readonly string[];
}

export interface SentMessage {
  readonly sender: string;
  readonly recipient: string;
  readonly octets: Buffer;
}

export class MailStore {
  readonly sent: SentMessage[] = [];
  readonly #mailboxes = new Map<string, { messages: StoredMessage[]; annotations: Map<string, string> }>();
  readonly #serverAnnotations = new Map<string, string>();

  constructor() {
    this.create('INBOX');
  }

  create(name: string): void {
    if (!this.exists(name)) this.#mailboxes.set(canonical(name), { messages: [], annotations: new Map() });
  }

  delete(name: string): void {
    this.#mailboxes.delete(canonical(name));
  }

  exists(name: string): boolean {
    return this.#mailboxes.has(canonical(name));
  }

  /** Why no mailbox can have that name, undefined where one can. */
  nameProblem(name: string): string | undefined {
    const levels = name.split('/');
    if (name === '' || levels.some((level) => level === '')) return `Invalid mailbox name '${name}'`;
    return undefined;
  }

  store(name: string, octets: Buffer, flags: readonly string[]): void {
    this.#mailboxes
      .get(canonical(name))!
      .messages.push({ octets, flags: [...flags, attachmentFlag(octets)] });
  }

  message(name: string, index: number): StoredMessage | undefined {
    return this.#mailboxes.get(canonical(name))?.messages[index];
  }

  setAnnotation(mailbox: string | undefined, annotation: string, value: string): void {
    this.#annotations(mailbox)?.set(annotation.toLowerCase(), value);
  }

  annotation(mailbox: string | undefined, annotation: string): string | undefined {
    return this.#annotations(mailbox)?.get(annotation.toLowerCase());
  }

  #annotations(mailbox: string | undefined): Map<string, string> | undefined {
    return mailbox === undefined
      ? this.#serverAnnotations
      : this.#mailboxes.get(canonical(mailbox))?.annotations;
  }
}

/** INBOX has no case, as a root as well. RFC 3501 section 5.1. */
function canonical(name: string): string {
  return name.replace(/^inbox(?=$|[./])/i, 'INBOX');
}

/** Dovecot marks each message that it stores. */
function attachmentFlag(octets: Buffer): string {
  const { fields, bodyStart } = readFields(octets);
  const root = readMessage(fields, octets.subarray(bodyStart), defaultSieveLimits);
  for (const part of walkParts(root)) {
    const disposition = part.fields.rawValues('content-disposition')[0] ?? '';
    if (/^attachment/i.test(disposition)) return '$HasAttachment';
  }
  return '$HasNoAttachment';
}

/** A message with edits applied, as a delivery would store it. */
export function editedMessage(octets: Buffer, edits: readonly Edit[]): Buffer {
  if (edits.length === 0) return octets;
  const block = parseHeader(octets, octets.length);
  if (block === headerTooLarge) return octets;
  const separator = block.separator.length > 0 ? block.separator : Buffer.from('\r\n');
  const body = replacedBody(edits) ?? octets.subarray(block.bodyStart);
  return Buffer.concat([...applyHeaderEdits(block, edits).chunks(), separator, body]);
}
