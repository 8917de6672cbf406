/** A mail client for tests of the whole server: one session, whole replies as text, messages dot-stuffed. */
import { LineClient } from '../kit/line-client.ts';

/** Long enough for a server whose two cores are busy with something else. */
const replyTimeoutMs = 60_000;

export interface Letter {
  /** Reverse-path; `''` for the null one. Default: sender@client.example. */
  readonly from?: string;
  /** Behind the reverse-path: ` SIZE=1000`. */
  readonly parameters?: string;
  readonly to: readonly string[];
  /** Text has its line ends made CRLF; octets go as they are. */
  readonly message: string | Buffer;
}

export class MailClient {
  readonly #line: LineClient;
  readonly #lmtp: boolean;
  greeting = '';

  private constructor(port: number, lmtp: boolean) {
    this.#line = LineClient.toPort(port);
    this.#lmtp = lmtp;
  }

  /** Connects and says EHLO or LHLO. Throws when either is refused. */
  static async open(port: number, protocol: 'smtp' | 'lmtp' = 'smtp', preface?: Buffer): Promise<MailClient> {
    const client = await MailClient.connect(port, protocol, preface);
    const hello = await client.say(`${protocol === 'lmtp' ? 'LHLO' : 'EHLO'} client.example`);
    if (!client.greeting.startsWith('220') || !hello.startsWith('250')) {
      client.destroy();
      throw new Error(`not let in: ${client.greeting} / ${hello}`);
    }
    return client;
  }

  /** Connects and reads the greeting, whatever it says. `preface` goes before everything else: a PROXY header. */
  static async connect(
    port: number,
    protocol: 'smtp' | 'lmtp' = 'smtp',
    preface?: Buffer,
  ): Promise<MailClient> {
    const client = new MailClient(port, protocol === 'lmtp');
    if (preface) client.write(preface);
    client.greeting = await client.reply();
    return client;
  }

  /** One command and its reply. */
  say(line: string): Promise<string> {
    this.#line.send(`${line}\r\n`);
    return this.reply();
  }

  /** AUTH PLAIN. RFC 4616. */
  login(user: string, password: string): Promise<string> {
    return this.say(`AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString('base64')}`);
  }

  /** Lines of one reply, joined with \n. */
  async reply(): Promise<string> {
    return (await this.#line.reply(replyTimeoutMs)).join('\n');
  }

  /** MAIL and RCPT in one packet; the replies in order. */
  async envelope({ from, parameters, to }: Omit<Letter, 'message'>): Promise<string[]> {
    const commands = [
      `MAIL FROM:<${from ?? 'sender@client.example'}>${parameters ?? ''}`,
      ...to.map((address) => `RCPT TO:<${address}>`),
    ];
    this.#line.send(commands.map((command) => `${command}\r\n`).join(''));
    return this.#replies(commands.length);
  }

  /** DATA and the message; `answers` is how many replies its end will have. */
  async data(message: string | Buffer, answers = 1): Promise<string[]> {
    const go = await this.say('DATA');
    if (!go.startsWith('354')) return [go];
    this.#line.send(stuffed(message));
    return this.#replies(answers);
  }

  /** A whole transaction. The replies to the message; or to MAIL and RCPT, when none of the recipients is taken. */
  async send(letter: Letter): Promise<string[]> {
    const replies = await this.envelope(letter);
    const taken = replies.slice(1).filter((reply) => reply.startsWith('2')).length;
    if (taken === 0) {
      await this.say('RSET');
      return replies;
    }
    return this.data(letter.message, this.#lmtp ? taken : 1);
  }

  write(octets: string | Buffer): void {
    this.#line.send(octets);
  }

  async quit(): Promise<void> {
    await this.say('QUIT');
    this.destroy();
  }

  destroy(): void {
    this.#line.destroy();
  }

  async #replies(count: number): Promise<string[]> {
    const replies: string[] = [];
    while (replies.length < count) replies.push(await this.reply());
    return replies;
  }
}

/** One message in a session of its own. */
export async function sendOne(
  port: number,
  letter: Letter,
  protocol: 'smtp' | 'lmtp' = 'smtp',
): Promise<string[]> {
  const client = await MailClient.open(port, protocol);
  try {
    return await client.send(letter);
  } finally {
    client.destroy();
  }
}

/** With the end of the data. RFC 5321 section 4.5.2. */
export function stuffed(message: string | Buffer): Buffer {
  const text = typeof message === 'string' ? message.replace(/\r?\n/g, '\r\n') : message.toString('latin1');
  const octets = text.replace(/(^|\r\n)\./g, '$1..');
  const end = octets === '' || octets.endsWith('\r\n') ? '.\r\n' : '\r\n.\r\n';
  return Buffer.from(octets + end, typeof message === 'string' ? 'utf8' : 'latin1');
}
