/** `sendmail -bs`: SMTP on standard input and output, for programs that speak it to a command. RFC 5321, as much as they use. */
import { createInterface } from 'node:readline';
import { parsePath } from '../../../core/mail/address.ts';

export interface StdioMail {
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly message: Buffer;
}

/**
 * Speaks until QUIT or the end of the input.
 * @param keep resolves with true once the message is on disk or sent, with false when it was refused for some recipients
 * for good; its rejection is a 451
 */
export async function serveStdio(
  hostname: string,
  messageBytesMax: number,
  keep: (mail: StdioMail) => Promise<boolean>,
): Promise<void> {
  const lines = createInterface({
    input: process.stdin.setEncoding('latin1'),
    crlfDelay: Number.POSITIVE_INFINITY,
  });
  const session = new StdioSession(hostname, messageBytesMax, keep);
  process.stdout.write(`220 ${hostname} ESMTP mailfilter\r\n`);
  for await (const line of lines) {
    const answer = await session.take(line);
    if (answer !== undefined) process.stdout.write(`${answer}\r\n`);
    if (session.over) return;
  }
}

class StdioSession {
  readonly #hostname: string;
  readonly #messageBytesMax: number;
  readonly #keep: (mail: StdioMail) => Promise<boolean>;
  #sender: string | undefined;
  #recipients: string[] = [];
  /** Lines of the message, while they come. */
  #data: string[] | undefined;
  #octets = 0;
  over = false;

  constructor(hostname: string, messageBytesMax: number, keep: (mail: StdioMail) => Promise<boolean>) {
    this.#hostname = hostname;
    this.#messageBytesMax = messageBytesMax;
    this.#keep = keep;
  }

  /** The reply, or undefined for a line of a message. */
  async take(line: string): Promise<string | undefined> {
    if (this.#data !== undefined) return line === '.' ? this.#end() : this.#add(line);
    const verb = (/^[A-Za-z]+/.exec(line)?.[0] ?? '').toUpperCase();
    switch (verb) {
      case 'HELO':
        this.#reset();
        return `250 ${this.#hostname}`;
      case 'EHLO':
        this.#reset();
        return `250-${this.#hostname}\r\n250-8BITMIME\r\n250-PIPELINING\r\n250 SIZE ${this.#messageBytesMax}`;
      case 'MAIL':
        return this.#mail(line);
      case 'RCPT':
        return this.#rcpt(line);
      case 'DATA':
        if (this.#recipients.length === 0) return '503 5.5.1 RCPT first';
        this.#data = [];
        this.#octets = 0;
        return '354 end with a dot on a line of its own';
      case 'RSET':
        this.#reset();
        return '250 2.0.0 ok';
      case 'NOOP':
      case 'HELP':
        return '250 2.0.0 ok';
      case 'VRFY':
        return '252 2.5.2 send it and see';
      case 'QUIT':
        this.over = true;
        return '221 2.0.0 bye';
      default:
        return '500 5.5.2 unknown command';
    }
  }

  #mail(line: string): string {
    const text = /^MAIL\s+FROM:\s*(.*)$/i.exec(line)?.[1];
    const path = text === undefined ? undefined : parsePath(utf8(text), { smtputf8: true });
    if (path === undefined || 'error' in path) return '501 5.1.7 not a reverse-path';
    this.#reset();
    this.#sender = path.address;
    return '250 2.1.0 ok';
  }

  #rcpt(line: string): string {
    if (this.#sender === undefined) return '503 5.5.1 MAIL first';
    const text = /^RCPT\s+TO:\s*(.*)$/i.exec(line)?.[1];
    const path = text === undefined ? undefined : parsePath(utf8(text), { smtputf8: true });
    if (path === undefined || 'error' in path || path.address === '') return '501 5.1.3 not a forward-path';
    this.#recipients.push(path.address);
    return '250 2.1.5 ok';
  }

  #add(line: string): undefined {
    this.#octets += line.length + 2;
    // What is too much is counted, not kept.
    if (this.#octets <= this.#messageBytesMax) this.#data?.push(line.startsWith('.') ? line.slice(1) : line);
    return undefined;
  }

  async #end(): Promise<string> {
    const message = Buffer.from((this.#data ?? []).map((line) => `${line}\r\n`).join(''), 'latin1');
    const mail = { sender: this.#sender ?? '', recipients: this.#recipients, message };
    const tooLarge = this.#octets > this.#messageBytesMax;
    this.#data = undefined;
    this.#reset();
    if (tooLarge) return '552 5.3.4 the message is too large';
    try {
      // Not for now: whoever tried again would send it twice to those who have it.
      return (await this.#keep(mail)) ? '250 2.0.0 ok' : '554 5.0.0 refused for at least one recipient';
    } catch (error) {
      return `451 4.3.0 ${error instanceof Error ? error.message.replace(/[^\x20-\x7e]/g, '?') : 'not kept'}`;
    }
  }

  #reset(): void {
    this.#sender = undefined;
    this.#recipients = [];
  }
}

function utf8(text: string): string {
  return Buffer.from(text, 'latin1').toString('utf8');
}
