/** The message of a run: as it came, and each version that editheader, replace and enclose make of it. */
import type { Edit } from '../../core/mail/edit.ts';
import { formatField } from '../../core/mail/format-field.ts';
import type { Answer } from './environment.ts';
import { type Field, Fields, readFields } from './fields.ts';
import { isHeaderName } from './header-names.ts';
import { type Part, readMessage } from './mime/part.ts';
import type { LazyMessage } from './run-types.ts';
import { octetsText } from './text.ts';

const crlf = Buffer.from('\r\n');

/** Octets of the body, once they are at hand. */
export type BodySource = () => Buffer;

export class MessageVersion {
  readonly fields: Fields;
  /** What was done to the message that came. */
  readonly edits: readonly Edit[];
  readonly #separator: Buffer;
  readonly #body: BodySource;
  #tree: Part | undefined;
  #whole: Buffer | undefined;

  constructor(fields: Fields, separator: Buffer, body: BodySource, edits: readonly Edit[]) {
    this.fields = fields;
    this.#separator = separator;
    this.#body = body;
    this.edits = edits;
  }

  /** @throws Suspended where the octets have to be waited for */
  body(): Buffer {
    return this.#body();
  }

  /** False for a header that no empty line follows. */
  hasBody(): boolean {
    return this.#separator.length > 0 || this.#body().length > 0;
  }

  /** Header, empty line and body. */
  whole(): Buffer {
    this.#whole ??= Buffer.concat([
      ...this.fields.all.map((field) => field.raw),
      this.#separator.length > 0 ? this.#separator : crlf,
      this.#body(),
    ]);
    return this.#whole;
  }

  /** The MIME tree. */
  tree(limits: { readonly mimePartsMax: number; readonly mimeDepthMax: number }): Part {
    this.#tree ??= readMessage(this.fields, this.#body(), limits);
    return this.#tree;
  }

  /** RFC 5293 section 4. */
  withField(name: string, value: string, last: boolean): MessageVersion {
    const field: Field = { name, lowerName: name.toLowerCase(), raw: formatField(name, value) };
    const all = last ? [...this.fields.all, field] : [field, ...this.fields.all];
    const edit: Edit = last
      ? { type: 'addHeader', name, value }
      : { type: 'insertHeader', index: 0, name, value };
    return this.#with(all, [edit]);
  }

  /** RFC 5293 section 5: the fields that `isMeant` picks among those of that name. */
  withoutFields(
    lowerName: string,
    isMeant: (field: Field, nth: number, count: number) => boolean,
  ): MessageVersion {
    const named = this.fields.named(lowerName);
    const gone = named.filter((field, index) => isMeant(field, index + 1, named.length));
    if (gone.length === 0) return this;
    // From the last on, so that the numbers of those before it stay right.
    const edits: Edit[] =
      gone.length === named.length
        ? [{ type: 'deleteHeader', name: gone[0]!.name, nth: 'all' }]
        : gone
            .map((field): Edit => ({ type: 'deleteHeader', name: field.name, nth: named.indexOf(field) + 1 }))
            .reverse();
    const isGone = new Set(gone);
    return this.#with(
      this.fields.all.filter((field) => !isGone.has(field)),
      edits,
    );
  }

  #with(all: readonly Field[], edits: readonly Edit[]): MessageVersion {
    return new MessageVersion(new Fields(all), this.#separator, this.#body, [...this.edits, ...edits]);
  }

  /** The message that a program wrote in place of this one; lines that are no field are left out. */
  withOctets(octets: Buffer): MessageVersion {
    const lines = Buffer.from(octets.toString('latin1').replace(/\r?\n/g, '\r\n'), 'latin1');
    const { fields, separator, bodyStart } = readFields(lines);
    const written = fields.all.filter(({ name }) => isHeaderName(name));
    const body = lines.subarray(bodyStart);
    const edits: Edit[] = [
      ...this.edits.filter((edit) => edit.type !== 'replaceBody'),
      ...fieldChanges(this.fields.all, written),
      { type: 'replaceBody', body },
    ];
    return new MessageVersion(new Fields(written), separator, () => body, edits);
  }

  /** The message with another body, and the header fields that describe it. RFC 5703. */
  withContent(
    description: readonly { readonly name: string; readonly value: string }[],
    body: Buffer,
  ): MessageVersion {
    const described = new Set(contentFields);
    const kept = this.fields.all.filter((field) => !described.has(field.lowerName));
    const removed = contentFields
      .filter((name) => this.fields.named(name).length > 0)
      .map((name): Edit => ({ type: 'deleteHeader', name, nth: 'all' }));
    const added = description.map(({ name, value }) => ({
      name,
      lowerName: name.toLowerCase(),
      raw: formatField(name, value),
    }));
    const edits: Edit[] = [
      ...this.edits.filter((edit) => edit.type !== 'replaceBody'),
      ...removed,
      ...description.map(({ name, value }): Edit => ({ type: 'addHeader', name, value })),
      { type: 'replaceBody', body },
    ];
    return new MessageVersion(new Fields([...kept, ...added]), this.#separator, () => body, edits);
  }
}

/** From the last on, so that the numbers and places of those before stay right. */
function fieldChanges(before: readonly Field[], after: readonly Field[]): Edit[] {
  let start = 0;
  const isSame = (left: Field | undefined, right: Field | undefined) =>
    left !== undefined && right !== undefined && left.raw.equals(right.raw);
  while (isSame(before[start], after[start])) start++;
  let same = 0;
  const rest = Math.min(before.length, after.length) - start;
  while (same < rest && isSame(before[before.length - 1 - same], after[after.length - 1 - same])) same++;
  const gone = before.slice(start, before.length - same).map((field, index): Edit => {
    const earlier = before.slice(0, start + index + 1);
    const nth = earlier.filter(({ lowerName }) => lowerName === field.lowerName).length;
    return { type: 'deleteHeader', name: field.name, nth };
  });
  const added = after.slice(start, after.length - same).map(
    ({ name, raw }, index): Edit => ({
      type: 'insertHeader',
      index: start + index,
      name,
      value: octetsText(raw)
        .slice(name.length)
        .replace(/^[ \t]*:\s*/, '')
        .trimEnd(),
    }),
  );
  return [...gone.reverse(), ...added];
}

/** Fields that say what the body is. RFC 2045 section 3. */
const contentFields = [
  'content-type',
  'content-transfer-encoding',
  'content-disposition',
  'content-id',
  'content-description',
  'content-location',
  'content-language',
  'content-md5',
  'mime-version',
];

/**
 * The message as it came.
 * @param ask answers with all octets, or throws Suspended
 */
export function openSieveMessage(
  message: LazyMessage,
  ask: (question: () => Answer<Uint8Array>) => Uint8Array,
): MessageVersion {
  const header = asBuffer(message.header);
  const { fields, separator, bodyStart } = readFields(header);
  let body: Buffer | undefined;
  const readBody = () => {
    if (header.length >= message.sizeBytes) return header.subarray(bodyStart);
    body ??= asBuffer(ask(() => message.whole())).subarray(bodyStart);
    return body;
  };
  return new MessageVersion(fields, separator, readBody, []);
}

/** A message of which all octets are at hand. */
export function wholeMessage(octets: Uint8Array): LazyMessage {
  return { header: octets, sizeBytes: octets.length, whole: () => octets };
}

function asBuffer(octets: Uint8Array): Buffer {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
}
