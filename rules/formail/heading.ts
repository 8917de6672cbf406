/** A header on its way through formail: what is known of it, and what it, or the header of an answer to it, becomes. */
import { senderOf } from './address.ts';
import type { FormailOptions } from './arguments.ts';
import { editFields, zapped } from './edit-fields.ts';
import {
  bodyOf,
  concatenate,
  type Field,
  findFor,
  fromName,
  hasName,
  hasValue,
  isFromLine,
  nameOf,
  newField,
  tidyName,
} from './field.ts';

export interface Heading {
  readonly fields: readonly Field[];
  /** The address that an answer or a From_ line is for. */
  readonly sender: string | undefined;
  /** Of the body, as the header says; 0 where it says nothing that counts. */
  readonly contentLength: number;
  /** It began with a From_ line. */
  readonly hadPostmark: boolean;
}

/** What the outside knows. */
export interface Surroundings {
  /** Local time as ctime(3) writes it, without a line end. */
  readonly date: string;
  /** Between the angle brackets of a Message-ID; never the same twice. */
  newMessageId(): string;
}

export const articleName = 'Article ';
const unknownSender = 'foo@bar';
const postmark = { text: fromName, nameLength: fromName.length };

/** @param fields as they were read; they are changed */
export function readHeading(fields: readonly Field[], options: FormailOptions): Heading {
  const { edits, reply, force } = options;
  for (const field of fields) tidyName(field);
  const first = fields[0];
  if (first !== undefined) translateFirst(first, options);
  let kept = editFields(fields, edits, { answered: reply, reply });
  if (options.zap) kept = kept.map(zapped).filter((field) => field !== undefined);
  if (options.concatenate) for (const field of kept) concatenate(field);
  return {
    fields: kept,
    sender: senderOf(kept, options.trust),
    contentLength: options.ignoreContentLength ? 0 : contentLengthOf(kept),
    hadPostmark: !force && first !== undefined && isFromLine(first.text),
  };
}

/** The first lines of articles and of BABYL mails become fields. */
function translateFirst(first: Field, { split, force }: FormailOptions): void {
  if (first.text.startsWith(articleName)) {
    first.text = first.text.replace(' ', ':');
  } else if (split?.babyl === true && !force) {
    const name = /^Mail-from:[ \t]*(?=From )/.exec(first.text)?.[0];
    if (name === undefined) return;
    first.text = first.text.slice(name.length);
    first.nameLength = fromName.length;
  }
}

function contentLengthOf(fields: readonly Field[]): number {
  const field = fields.find((each) => hasName(each, 'Content-Length:'));
  return field === undefined ? 0 : Number.parseInt(bodyOf(field), 10) || 0;
}

/** The last value of that name that is one, with its line end. */
export function valueIn(fields: readonly Field[], name: string): string | undefined {
  const field = fields.findLast((each) => hasName(each, name) && bodyOf(each).length > 1);
  return field === undefined ? undefined : bodyOf(field);
}

export interface NewHeader {
  /** Those of the mail, or of an answer to it. */
  readonly fields: readonly Field[];
  /** What the command line adds behind them. */
  readonly added: readonly Field[];
}

/** What is written of a header. */
export function newHeader(heading: Heading, options: FormailOptions, outside: Surroundings): NewHeader {
  const fields = options.reply ? answerTo(heading, options) : withPostmark(heading, options, outside);
  const { addUnlessThere, add, renameAndAdd, deleteAndAdd } = options.edits;
  const missing = addUnlessThere.filter((field) => !fields.some((each) => hasName(each, nameOf(field))));
  const filled = [...add, ...renameAndAdd, ...deleteAndAdd].filter(hasValue);
  return { fields, added: [...missing.map((field) => withMessageId(field, outside)), ...filled] };
}

function withMessageId(field: Field, outside: Surroundings): Field {
  const name = nameOf(field);
  if (hasValue(field) || !/^(?:Resent-)?Message-ID:$/i.test(name)) return field;
  return newField(`${name} <${outside.newMessageId()}>\n`);
}

/** Fields of the mail that -i names without a value, X-Loop, and what RFC 5322 section 3.6.4 asks of an answer. */
function answerTo({ fields, sender }: Heading, { edits }: FormailOptions): Field[] {
  const wanted = [...edits.renameAndAdd, newField('X-Loop:')];
  const kept = fields.filter((field) => {
    const found = findFor(field, wanted);
    return found !== undefined && !hasValue(found);
  });
  const answer = [...kept, newField(`To: ${sender ?? unknownSender}\n`)];
  const subject = valueIn(fields, 'Subject:');
  // Debian's formail writes it also before a "Re:".
  if (subject !== undefined) answer.push(newField(`Subject: Re:${spaced(subject)}`));
  const references = valueIn(fields, 'References:');
  const messageId = valueIn(fields, 'Message-ID:');
  if (references !== undefined || messageId !== undefined) {
    const before = references === undefined ? '' : spaced(references);
    const last = messageId === undefined ? '' : spaced(messageId);
    answer.push(newField(`References:${last === '' ? before : before.replace(/\n$/, '')}${last}`));
  }
  if (messageId !== undefined) answer.push(newField(`In-Reply-To:${spaced(messageId)}`));
  return editFields(answer, { ...edits, renameAndAdd: wanted }, { answered: false, reply: true });
}

function spaced(value: string): string {
  return /^[ \t]/.test(value) ? value : ` ${value}`;
}

/** With a From_ line, unless there is one or none is wanted. */
function withPostmark(heading: Heading, { force, edits }: FormailOptions, outside: Surroundings): Field[] {
  const fields = [...heading.fields];
  if (force || (fields[0] !== undefined && isFromLine(fields[0].text))) return fields;
  const asked = findFor(postmark, edits.addUnlessThere);
  const unwanted =
    heading.hadPostmark ||
    findFor(postmark, edits.renameAndAdd) !== undefined ||
    findFor(postmark, edits.deleteAndAdd) !== undefined ||
    findFor(
      postmark,
      edits.rename.map(({ from }) => from),
    ) !== undefined;
  if (unwanted && (asked === undefined || hasValue(asked))) return fields;
  const ownDate = valueIn(fields, 'Date:');
  const takesDate = edits.addUnlessThere.some((field) => hasName(field, 'Date:'));
  const date = takesDate && ownDate !== undefined ? spaced(ownDate) : ` ${outside.date}\n`;
  return [newField(`${fromName}${heading.sender ?? unknownSender} ${date}`), ...fields];
}
