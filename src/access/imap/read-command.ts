/** Takes one command off the wire: its lines, its literals, and the go-aheads in between. RFC 9051 sections 4.3 and 7.6, RFC 7888. */
import { OperationalError } from '../../../core/base/errors.ts';
import { imapLimits } from '../../../core/base/limits/access.ts';
import type { Upload } from '../../mailbox/mailbox.ts';
import type { Wire } from '../wire.ts';
import type { MessageLiteral } from './parse/cursor.ts';
import { Refusal } from './refusal.ts';

export interface LiteralRules {
  /** Lines and literals of one command together. */
  readonly octetsMax: number;
  readonly messageOctetsMax: number;
  /** Where the octets of the next literal go, after that text: undefined for memory. @throws Refusal, MailboxError */
  upload(before: string): Promise<Upload> | undefined;
  goAhead(): void;
}

export interface CommandText {
  readonly text: string;
  readonly messages: readonly MessageLiteral[];
  /** What is wrong with its literals: the command was read to its end, as far as that is possible. */
  readonly refusal?: unknown;
}

interface LiteralMark {
  readonly octets: number;
  /** The client does not wait. */
  readonly isPushed: boolean;
}

/** @throws ConnectionEnded, OperationalError `line-too-long` */
export async function readCommandText(wire: Wire, rules: LiteralRules): Promise<CommandText> {
  const messages: MessageLiteral[] = [];
  let text = await readLine(wire, Math.min(imapLimits.lineOctetsMax, rules.octetsMax), true);
  try {
    for (let mark = literalMark(text); mark; mark = literalMark(text)) {
      const literal = await readLiteral(wire, rules, text, mark, messages);
      text += `\r\n${literal}`;
      const line = await readLine(wire, imapLimits.lineOctetsMax, false);
      text += line;
      if (text.length > rules.octetsMax) throw new Refusal('BAD', 'the command is too long', 'TOOBIG');
      // What stands at the end of a literal is no mark.
      if (line === '') break;
    }
    return { text, messages };
  } catch (error) {
    await discard(messages);
    if (!(error instanceof Skipped)) throw error;
    return { text, messages: [], refusal: error.refusal };
  }
}

export async function discard(messages: readonly MessageLiteral[]): Promise<void> {
  for (const { upload } of messages) await upload.discard();
}

/** The command cannot be done, and the client has been, or is not going to be, read to the end of it. */
class Skipped extends Error {
  readonly refusal: unknown;

  constructor(refusal: unknown) {
    super('the command is refused');
    this.refusal = refusal;
  }
}

async function readLine(wire: Wire, octetsMax: number, isFirst: boolean): Promise<string> {
  const line = isFirst ? await wire.command(octetsMax) : await wire.line(octetsMax);
  return line.toString('latin1');
}

function literalMark(text: string): LiteralMark | undefined {
  const match = /\{(\d{1,10})(\+?)\}$/.exec(text.slice(-14));
  return match ? { octets: Number(match[1]), isPushed: match[2] === '+' } : undefined;
}

/** @returns the octets, '' when they went to disk */
async function readLiteral(
  wire: Wire,
  rules: LiteralRules,
  before: string,
  mark: LiteralMark,
  messages: MessageLiteral[],
): Promise<string> {
  let upload: Upload | undefined;
  try {
    upload = await rules.upload(before);
    checkSize(rules, before, mark, upload !== undefined, messages.length);
  } catch (refusal) {
    await upload?.discard();
    await skipCommand(wire, mark);
    throw new Skipped(refusal);
  }
  if (!mark.isPushed) rules.goAhead();
  if (!upload) return (await wire.octets(mark.octets)).toString('latin1');
  messages.push({ upload, octets: mark.octets });
  await store(wire, mark.octets, upload);
  return '';
}

function checkSize(
  rules: LiteralRules,
  before: string,
  { octets }: LiteralMark,
  toDisk: boolean,
  count: number,
): void {
  if (toDisk && count >= imapLimits.appendMessagesMax) {
    throw new Refusal('NO', 'too many messages at once', 'LIMIT');
  }
  const room = toDisk ? rules.messageOctetsMax : rules.octetsMax - before.length;
  if (octets > room) throw new Refusal('NO', 'the literal is too large', 'TOOBIG');
}

/** A disk that fails is told at the end of the command: the octets are on their way. */
async function store(wire: Wire, octets: number, upload: Upload): Promise<void> {
  let failure: unknown;
  for await (const chunk of wire.stream(octets)) {
    if (failure !== undefined) continue;
    try {
      await upload.write(chunk);
    } catch (error) {
      failure = error;
    }
  }
  if (failure === undefined) return;
  await skipRest(wire);
  throw new Skipped(failure);
}

/** RFC 7888 section 4: octets that come without asking have to be taken; what waits for a go-ahead never comes. */
async function skipCommand(wire: Wire, mark: LiteralMark): Promise<void> {
  if (!mark.isPushed) return;
  await skipOctets(wire, mark.octets);
  await skipRest(wire);
}

async function skipRest(wire: Wire): Promise<void> {
  for (;;) {
    const mark = literalMark(await readLine(wire, imapLimits.lineOctetsMax, false));
    // Without a go-ahead the client sends nothing more of this command.
    if (!mark?.isPushed) return;
    await skipOctets(wire, mark.octets);
  }
}

async function skipOctets(wire: Wire, octets: number): Promise<void> {
  if (octets > imapLimits.skippedOctetsMax) {
    throw new OperationalError('literal-too-large', `a literal of ${octets} octets`, {
      temporary: false,
      clientText: 'literal too large',
    });
  }
  for await (const _chunk of wire.stream(octets));
}
