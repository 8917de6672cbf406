/**
 * The octets of one stored copy: Return-Path and Delivered-To on top of the message with its edits, LF line ends.
 * RFC 5321 section 4.4: final delivery puts one Return-Path on top, and takes away any that came with the message.
 */
import type { Edit } from '../../core/mail/edit.ts';
import type { StoredLength } from '../../core/mail/line-ends.ts';
import { render, renderLf, streamRendered } from '../../core/mail/render.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { StoreAction } from './store.ts';

export type Copy =
  | {
      readonly kind: 'memory';
      /** Octets in order; views on the message, for reading only. */
      readonly chunks: readonly Uint8Array[];
      readonly length: StoredLength;
    }
  | {
      readonly kind: 'stream';
      /** Begins anew each time; bounded memory. The return value is the stored length. */
      open(): AsyncGenerator<Uint8Array, StoredLength>;
    };
export type MemoryCopy = Copy & { kind: 'memory' };

export interface CopyOptions {
  readonly source: MessageSource;
  /** Common edits of the transaction. */
  readonly edits: readonly Edit[];
  /** Header fields may hold UTF-8. RFC 6532. */
  readonly smtputf8: boolean;
}

/** Fields that a mail reader writes into an mbox: from outside they would set flags or break the parting of messages. */
const mboxFields = ['Status', 'X-Status', 'X-Keywords', 'X-UID', 'X-IMAP', 'X-IMAPbase', 'Content-Length'];
const returnPathGone = deleteAll('Return-Path');
const mboxFieldsGone = mboxFields.map(deleteAll);

/** Copies of one transaction; those that share all edits are rendered once. */
export function createCopies(options: CopyOptions): (action: StoreAction, extraFields?: string) => Copy {
  const shared: Partial<Record<StoreAction['format'], (prefix: string) => Copy>> = {};
  return (action, extraFields = '') => {
    const prefix = `Return-Path: <${oneLine(action.sender)}>\nDelivered-To: ${oneLine(action.deliveredTo)}\n${extraFields}`;
    if (action.edits.length > 0) return renderCopy(options, action)(prefix);
    shared[action.format] ??= renderCopy(options, action);
    return shared[action.format]!(prefix);
  };
}

function renderCopy({ source, edits, smtputf8 }: CopyOptions, action: StoreAction): (prefix: string) => Copy {
  const all = [
    ...edits,
    ...action.edits,
    returnPathGone,
    ...(action.format === 'mbox' ? mboxFieldsGone : []),
  ];
  if (source.kind === 'memory') {
    const { chunks, length } = renderLf(source, all, { smtputf8 });
    return (prefix) => {
      const top = Buffer.from(separated(prefix, chunks[0]?.length ?? 0));
      return { kind: 'memory', chunks: [top, ...chunks], length: sum(lengthOf(top), length) };
    };
  }
  return (prefix) => ({
    kind: 'stream',
    async *open() {
      const rendered = render(source, all, { smtputf8 });
      const top = Buffer.from(separated(prefix, rendered.header.length));
      yield top;
      return sum(lengthOf(top), yield* streamRendered(rendered, 'lf'));
    },
  });
}

/** A message without any header gets the empty line that parts ours from its body. */
function separated(prefix: string, headerLength: number): string {
  return headerLength === 0 ? `${prefix}\n` : prefix;
}

/** Our own lines, LF each. */
function lengthOf(top: Buffer): StoredLength {
  let lines = 0;
  for (let at = top.indexOf(10); at >= 0; at = top.indexOf(10, at + 1)) lines += 1;
  return { octets: top.length, crlfOctets: top.length + lines };
}

function sum(first: StoredLength, second: StoredLength): StoredLength {
  return { octets: first.octets + second.octets, crlfOctets: first.crlfOctets + second.crlfOctets };
}

/** Addresses were parsed at the door; a line end here would still let a field be forged. */
function oneLine(text: string): string {
  return text.replace(/[\0\r\n]/g, '');
}

function deleteAll(name: string): Edit {
  return { type: 'deleteHeader', name, nth: 'all' };
}
