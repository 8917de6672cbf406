/**
 * Mail for a whole server in trouble: several clients over SMTP and LMTP send letters that can be told from one another
 * and from their own parts; what they heard is compared with what lies in the mailboxes.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ServerOptions, type TestServer, until } from '../kit/server.ts';
import { MailClient } from '../server/mail-client.ts';

export type Format = 'maildir' | 'mbox';
export type Durability = 'journal' | 'file';

/** Small segments, frequent checkpoints, and spool files for what is not small: everything happens within a second. */
export function loadConfig(
  format: Format = 'maildir',
  durability: Durability = 'journal',
): NonNullable<ServerOptions['config']> {
  return {
    durability,
    mailbox: { format, path: 'mail/{domain}/{user}' },
    journal: { segmentBytes: 4 * 1024 * 1024, checkpointMs: 60 },
    limits: { memoryMessageBytesMax: 64 * 1024 },
    queue: { retrySeconds: [1] },
    processes: { threads: 1 },
  };
}

/** One letter, and what its client heard of it. */
export interface Letter {
  readonly number: number;
  readonly recipients: readonly string[];
  /** Recipients for whom it was taken: a 250 at the end of the data. */
  readonly acknowledged: Set<string>;
  /** Recipients for whom it was refused, and that reply. */
  readonly refused: Map<string, string>;
  /** The replies at the end of the data. */
  replies: readonly string[];
}

const sizes = [300, 9000, 2500, 40_000, 700, 150_000, 5000];

/** LF line ends; every line says whose it is. One line needs quoting in an mbox, one has a dot to stuff. */
export function textOf(number: number): string {
  const id = `LOAD${String(number).padStart(6, '0')}X`;
  const line = `${id} says one line of text\n`;
  const lines = Math.ceil(sizes[number % sizes.length]! / line.length);
  return `From: sender@client.example\nSubject: ${id}\n\n${line.repeat(lines)}From ${id}\n.${id}\nthe end of ${id}\n`;
}

/** Names the letter, wherever it is. */
export function numberIn(text: string): number | undefined {
  const found = /LOAD(\d{6})X/.exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}

export class Load {
  readonly letters: Letter[] = [];
  #stopping = false;
  #next: number;

  /** @param first number of the first letter */
  constructor(first = 0) {
    this.#next = first;
  }

  get next(): number {
    return this.#next;
  }

  get acknowledged(): Letter[] {
    return this.letters.filter((letter) => letter.acknowledged.size > 0);
  }

  /**
   * Resolves when `stop` was called, `count` letters are sent, or the server is gone. A letter whose reply a client
   * did not live to hear is neither acknowledged nor refused.
   */
  async run(
    ports: Readonly<Record<string, number>>,
    { clients = 4, count = Number.POSITIVE_INFINITY, recipients = recipientsOf } = {},
  ): Promise<void> {
    this.#stopping = false;
    const end = this.#next + count;
    const doors = Array.from({ length: clients }, (_, index): 'smtp' | 'lmtp' =>
      index % 3 === 2 ? 'lmtp' : 'smtp',
    );
    await Promise.all(doors.map((door) => this.#session(ports[door]!, door, end, recipients)));
  }

  stop(): void {
    this.#stopping = true;
  }

  async #session(
    port: number,
    door: 'smtp' | 'lmtp',
    end: number,
    recipientsOf: (number: number) => string[],
  ): Promise<void> {
    let client: MailClient | undefined;
    try {
      client = await MailClient.open(port, door);
      while (!this.#stopping && this.#next < end) {
        const number = this.#next++;
        const letter = letterOf(number, recipientsOf(number));
        this.letters.push(letter);
        await send(client, door, letter);
      }
      await client.quit();
    } catch (error) {
      if (!isGone(error)) throw error;
    } finally {
      client?.destroy();
    }
  }
}

/** Resolves when every role serves: until then a role that fails ends the start, and with it the server. */
export function everyRole(server: TestServer): Promise<void> {
  return until('every role', () => /^smtp: smtp on /m.test(server.output()));
}

export function letterOf(number: number, recipients: readonly string[]): Letter {
  return { number, recipients, acknowledged: new Set(), refused: new Map(), replies: [] };
}

export function recipientsOf(number: number): string[] {
  return [['alice', 'bob'], ['alice'], ['bob']][number % 3]!;
}

/** Hears the replies into the letter. @throws Error when the server is gone */
export async function send(client: MailClient, door: 'smtp' | 'lmtp', letter: Letter): Promise<void> {
  const [mail, ...asked] = await client.envelope({
    to: letter.recipients.map((user) => `${user}@example.test`),
  });
  if (mail!.startsWith('421')) throw new Error('closed in place of a reply: 421');
  letter.recipients.forEach((user, index) => {
    if (!asked[index]!.startsWith('250')) letter.refused.set(user, asked[index]!);
  });
  const taken = letter.recipients.filter((user) => !letter.refused.has(user));
  if (taken.length === 0) {
    await client.say('RSET');
    return;
  }
  const replies = await client.data(textOf(letter.number), door === 'lmtp' ? taken.length : 1);
  letter.replies = replies;
  taken.forEach((user, index) => {
    const reply = replies[index] ?? replies[0]!;
    if (reply.startsWith('250')) letter.acknowledged.add(user);
    else letter.refused.set(user, reply);
  });
}

function isGone(error: unknown): boolean {
  return (
    error instanceof Error && /closed in place of a reply|not let in: (?:421)?|ECONN/.test(error.message)
  );
}

export interface Found {
  /** Whole copies by letter. */
  readonly copies: ReadonlyMap<number, number>;
  /** What is no whole message, by its file. */
  readonly partial: readonly string[];
}

/** Everything in one user's INBOX, in either format. */
export function findMail(server: Pick<TestServer, 'mailbox'>, user: string, format: Format): Found {
  const copies = new Map<number, number>();
  const partial: string[] = [];
  for (const { where, text } of format === 'maildir'
    ? maildirMessages(server.mailbox(user))
    : mboxMessages(server.mailbox(user))) {
    const number = numberIn(text);
    const isWhole =
      number !== undefined &&
      text.startsWith('Return-Path: <') &&
      (text.endsWith(`\n${textOf(number)}`) || (format === 'mbox' && isBeforeHole(text, number)));
    if (isWhole) copies.set(number, (copies.get(number) ?? 0) + 1);
    else if (format === 'mbox' && isCutOff(text, number)) continue;
    else partial.push(`${where}: ${JSON.stringify(text.slice(0, 200))} (${text.length})`);
  }
  return { copies, partial };
}

/** What went wrong, one line each: acknowledged mail must be there once, everything else once at most, nothing in parts. */
export function judge(
  server: Pick<TestServer, 'mailbox'>,
  letters: readonly Letter[],
  format: Format = 'maildir',
): string[] {
  const failures: string[] = [];
  for (const user of new Set(letters.flatMap(({ recipients }) => recipients))) {
    const { copies, partial } = findMail(server, user, format);
    failures.push(...partial.map((what) => `not whole: ${what}`));
    for (const { number, recipients, acknowledged, refused } of letters) {
      const found = copies.get(number) ?? 0;
      const least = acknowledged.has(user) ? 1 : 0;
      const most = recipients.includes(user) && !refused.has(user) ? 1 : 0;
      if (found < least || found > most)
        failures.push(`letter ${number} to ${user}: ${found} copies, not ${least} to ${most}`);
    }
  }
  return failures;
}

/** A whole letter after which a power cut left a hole: octets of zero in place of the next From_ line. */
function isBeforeHole(text: string, number: number): boolean {
  const start = text.indexOf('From: sender@client.example\n');
  const after = start + textOf(number).length;
  return text.indexOf('\0') >= after && text.startsWith(`${textOf(number)}\n`, start);
}

/** An append that was cut off stays in an mbox, whoever comes next begins a line of its own: nothing there is ever truncated. */
function isCutOff(text: string, number: number | undefined): boolean {
  const start = text.indexOf('From: sender@client.example\n');
  if (text.includes('\0')) return true;
  if (start < 0 || number === undefined) return !text.includes('\n\n');
  return textOf(number).startsWith(text.slice(start).replace(/\n+$/, ''));
}

function maildirMessages(root: string): { where: string; text: string }[] {
  return ['new', 'cur'].flatMap((folder) => {
    const directory = join(root, folder);
    if (!existsSync(directory)) return [];
    return readdirSync(directory).map((name) => {
      const where = join(directory, name);
      const text = readFileSync(where, 'latin1');
      const size = /,S=(\d+),/.exec(name)?.[1];
      return { where, text: Number(size) === text.length ? text : `name says ${size} octets: ${text}` };
    });
  });
}

/** mboxrd: every line that begins with `From ` begins a message; others have one `>` too many. */
function mboxMessages(path: string): { where: string; text: string }[] {
  if (!existsSync(path)) return [];
  const parts = readFileSync(path, 'latin1').split(/^From .*\n/m);
  const before = parts.shift() === '' ? [] : [{ where: path, text: 'no From_ line at its beginning' }];
  const messages = parts.map((part, index) => ({
    where: `${path} (${index})`,
    text: part.replace(/\n$/, '').replace(/^>(>*From )/gm, '$1'),
  }));
  return [...before, ...messages];
}
